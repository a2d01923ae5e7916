# Everything below is the same in every such script. DENSITY_SYSROOT: of another root.
set -u
umask 022
root=${DENSITY_SYSROOT-}
kept=$root/var/lib/density/raised
boot=$root/etc/sysctl.d/90-density.conf
units=$root/etc/systemd/system
failed=0
restart=

say() { printf '%s\n' "$*"; }
complain() {
    printf '%s\n' "$*" >&2
    failed=1
}

# Whether a number is below another. `infinity`, and what is past the shell's numbers, is below nothing.
below() { [ "$1" -lt "$2" ] 2>/dev/null; }

put() { printf '%s\n' "$2" 2>/dev/null >"$1"; }

sysctl_file() { printf '%s/proc/sys/%s' "$root" "$(printf '%s' "$1" | tr . /)"; }

# raise_sysctl NAME VALUE
raise_sysctl() {
    file=$(sysctl_file "$1")
    if ! found=$(cat "$file" 2>/dev/null); then
        say "$1: this kernel has none"
    elif ! below "$found" "$2"; then
        say "$1: $found is enough"
    else
        # What was found first is what undo is for, also where this script comes after another of its kind.
        record=$kept/sysctl/$1
        before=$(cat "$record" 2>/dev/null)
        first=${before%% *}
        if ! put "$record" "${first:-$found} $2"; then
            complain "$1: left at $found, as $record cannot be written"
        elif (put "$file" "$2") 2>/dev/null; then
            say "$1: $found -> $2"
        else
            if [ -n "$before" ]; then put "$record" "$before"; else rm -f "$record"; fi
            complain "$1: the kernel did not take $2; it stays $found"
        fi
    fi
}

# raise_unit UNIT DIRECTIVE VALUE
raise_unit() {
    if [ ! -d "$root/run/systemd/system" ] || ! systemctl cat "$1" >/dev/null 2>&1; then
        say "$1: not a unit here; start its daemon with $2 $3, such as by ulimit"
        return
    fi
    case $2 in
    Limit*) soft=${2}Soft ;;
    *) soft=$2 ;;
    esac
    found=$(systemctl show --property "$soft" --value "$1")
    if ! below "$found" "$3"; then
        say "$1: $2 $found is enough"
        return
    fi
    value=$3
    if [ "$soft" != "$2" ]; then
        # A unit's hard limit may be higher already.
        hard=$(systemctl show --property "$2" --value "$1")
        if below "$hard" "$3"; then hard=$3; fi
        value=$3:$hard
        restart="$restart $1"
    fi
    mkdir -p "$kept/unit/$1"
    if put "$kept/unit/$1/$2" "$value"; then
        say "$1: $2 $found -> $3"
    else
        complain "$1: $2 stays $found, as $kept cannot be written"
    fi
}

# Kernel parameters do not outlive a boot by themselves.
write_boot() {
    if [ -z "$(ls "$kept/sysctl")" ]; then
        rm -f "$boot"
        return
    fi
    for record in "$kept"/sysctl/*; do
        read -r first set <"$record"
        printf '# was %s\n%s = %s\n' "$first" "${record##*/}" "$set"
    done >"$boot"
}

write_units() {
    for directory in "$kept"/unit/*; do
        [ -e "$directory" ] || continue
        mkdir -p "$units/${directory##*/}.d"
        {
            say '[Service]'
            for record in "$directory"/*; do
                say "${record##*/}=$(cat "$record")"
            done
        } >"$units/${directory##*/}.d/90-density.conf"
    done
}

apply() {
    if ! mkdir -p "$kept/sysctl" "$kept/unit" "${boot%/*}"; then
        say 'this has to be run as root' >&2
        exit 1
    fi
    limits
    write_boot
    write_units
    if [ -n "$(ls "$kept/unit")" ]; then systemctl daemon-reload; fi
    if [ -n "$restart" ]; then
        say "new limits of open files come with a restart, which stops what runs there: systemctl restart$restart"
    fi
}

undo() {
    if [ ! -d "$kept" ]; then
        say 'nothing was raised'
        return
    fi
    for record in "$kept"/sysctl/*; do
        [ -e "$record" ] || continue
        name=${record##*/}
        file=$(sysctl_file "$name")
        read -r first set <"$record"
        found=$(cat "$file" 2>/dev/null)
        if [ "$found" != "$set" ]; then
            say "$name: left at $found, as someone has changed it from $set since"
        elif (put "$file" "$first") 2>/dev/null; then
            say "$name: $set -> $first"
        else
            complain "$name: cannot be put back to $first"
            continue
        fi
        rm -f "$record"
    done
    changed=
    for directory in "$kept"/unit/*; do
        [ -e "$directory" ] || continue
        changed="$changed ${directory##*/}"
        rm -f "$units/${directory##*/}.d/90-density.conf"
        rmdir "$units/${directory##*/}.d" 2>/dev/null
        rm -rf "$directory"
    done
    if [ -n "$changed" ]; then
        systemctl daemon-reload
        say "as before, from their next restart at the latest:$changed"
    fi
    if [ "$failed" = 0 ]; then
        rm -rf "$kept" "$boot"
        rmdir "${kept%/*}" 2>/dev/null
    else
        write_boot
    fi
}

case ${1-} in
'') apply ;;
undo) undo ;;
*)
    say "usage: sh $0 [undo]" >&2
    exit 2
    ;;
esac
exit "$failed"
