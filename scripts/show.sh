# Sourced by the scripts whose transcript is kept: `show COMMAND` prints a command as it is typed, then runs it;
# `piped TEXT COMMAND` does so with the text on standard input.
typed() {
    for word in "$@"; do
        case $word in *" "*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac
    done
}
show() {
    printf '\n$%s\n' "$(typed "$@")"
    "$@"
}
piped() {
    printf '\n$%s |%s\n' "$(typed echo "$1")" "$(typed "${@:2}")"
    echo "$1" | "${@:2}"
}
