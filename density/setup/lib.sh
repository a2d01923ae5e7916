# What the other setup scripts share: words for the person, root where it can be had, one run at a time. Sourced.
# shellcheck shell=sh disable=SC2034 # what is set here is read by the scripts that source it

# Tests put another root before every path of the system, and stubs before its programs.
SYSROOT=${DENSITY_SYSROOT:-}
CACHE=.cache/setup
LACKING=""    # what this host lacks, by name
NEEDS_ROOT="" # set when an engine answers root alone

# A user's PATH often lacks the directories that daemons are in.
PATH="$PATH:$SYSROOT/usr/local/sbin:$SYSROOT/usr/sbin:$SYSROOT/sbin"

say() { printf 'density: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# lacking NAME SENTENCE: the one line that a missing thing gets.
lacking() {
    case " $LACKING " in *" $1 "*) return 0 ;; esac
    LACKING="$LACKING $1"
    say "$1: $2"
}

have() { command -v "$1" >/dev/null 2>&1; }

# Sets ROOT_BY once: `self`, `sudo` (asks on the terminal), `sudo -n` or `none`.
find_root() {
    [ -z "${ROOT_BY:-}" ] || return 0
    ROOT_BY=none
    if [ "$(id -u)" = 0 ]; then
        ROOT_BY=self
    elif have sudo && [ "${DENSITY_SUDO:-yes}" != no ]; then
        if sudo -n true >/dev/null 2>&1; then
            ROOT_BY="sudo -n"
        elif [ -t 0 ]; then
            # Only members are asked for a password: others would be reported to the administrator.
            for group in $(id -nG); do
                case $group in sudo | wheel | admin) ROOT_BY=sudo ;; esac
            done
        fi
    fi
}

can_root() {
    find_root
    [ "$ROOT_BY" != none ]
}

as_root() {
    find_root
    case $ROOT_BY in
        self) "$@" ;;
        sudo*) $ROOT_BY "$@" ;;
        *) return 1 ;;
    esac
}

# Two makes at once in one clone: the second waits. Descriptor 9 must not reach a daemon, which would keep the lock.
take_turn() {
    if ! mkdir -p "$CACHE" 2>/dev/null || [ ! -w "$CACHE" ]; then
        die "cannot write to $PWD/$CACHE: is this clone somebody else's?"
    fi
    have flock || return 0
    exec 9>>"$CACHE/lock"
    flock -n 9 && return 0
    say "waiting for another setup in this clone"
    flock 9
}

# indented: what a program logged, for the person, without what a terminal would obey.
indented() { tr -d '\000-\010\013-\037\177' | sed 's/^/    /' >&2; }

# last_lines FILE COUNT: the end of a log, indented, for the person.
last_lines() {
    [ -r "$1" ] || return 0
    tail -n "$2" "$1" | indented
}
