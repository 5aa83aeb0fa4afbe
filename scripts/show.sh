# Sourced by the scripts whose transcript is kept: `show COMMAND` prints a command as it is typed, then runs it;
# `piped TEXT COMMAND` does so with lines of text on standard input.
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
    case $1 in
        *$'\n'*) printf '\n$%s << END\n%s\nEND\n' "$(typed "${@:2}")" "$1" ;;
        *) printf '\n$%s |%s\n' "$(typed echo "$1")" "$(typed "${@:2}")" ;;
    esac
    echo "$1" | "${@:2}"
}
