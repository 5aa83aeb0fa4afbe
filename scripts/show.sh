# Sourced by the scripts whose transcript is kept: `show COMMAND` prints a command as it is typed, then runs it.
show() {
    printf '\n$'
    for word in "$@"; do
        case $word in *" "*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac
    done
    printf '\n'
    "$@"
}
