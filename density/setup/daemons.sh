# The engines' daemons: do they answer, and starting them where they do not. Sourced after packages.sh.
# shellcheck shell=sh disable=SC2034 # setup.sh reads what is set here

LOGS=$SYSROOT/var/log/density

# ask ENGINE: sets SAYS to its version, or to why it does not answer; 0 it answers, 1 it does not, 3 it refuses this user.
ask() { SAYS=$(ask_by "$1"); }
ask_by() {
    engine=$1
    shift
    "$@" timeout 20 "${PYTHON:-python3}" -I density/setup/answers.py "$engine" 2>&1
}

# answers ENGINE: for this user, or at least for root, who then has to run density.
answers() {
    status=0
    ask "$1" || status=$?
    [ "$status" = 3 ] && can_root || return "$status"
    if ! SAYS=$(ask_by "$1" as_root env ${DOCKER_HOST:+"DOCKER_HOST=$DOCKER_HOST"}); then
        status=1
        return 1
    fi
    [ "$ROOT_BY" = self ] || NEEDS_ROOT=yes
}

with_systemd() { [ -d "$SYSROOT/run/systemd/system" ]; }
is_running() { grep -qx "$1" "$SYSROOT"/proc/[0-9]*/comm 2>/dev/null; }

# start_unit NAME...: by systemd, which waits until they are up.
start_unit() {
    as_root systemctl start "$@" </dev/null 2>>"$CACHE/daemons.log" 9>&- && return 0
    as_root journalctl --no-pager -n 8 -u "$1" 2>/dev/null 9>&- | indented
    return 1
}

# bare_v2: where version 2 of cgroups is mounted below version 1 with no controller that libvirt uses. Its LXC driver starts no
# container where it sees both: it mounts version 2 first, for which there is no directory yet inside.
bare_v2() {
    place=$(sed -n 's,^[^ ]* \(/sys/fs/cgroup/[^ ]*\) cgroup2 .*,\1,p' "$SYSROOT/proc/self/mounts" 2>/dev/null | head -n 1)
    [ -n "$place" ] && ! grep -qwE 'cpu|cpuset|memory|io' "$SYSROOT$place/cgroup.controllers" || return 1
    as_root unshare --mount true 2>/dev/null && echo "$place"
}

# start_alone FILES PROGRAM [THROUGH...]: in a session of its own, so that Ctrl-C here does not reach it, holding no descriptor of ours,
# and allowed as many open files as its systemd unit would allow. (Not by `&`: its containers would ignore SIGINT then.)
# THROUGH is a command that runs the program, given to it as its last argument.
start_alone() {
    as_root mkdir -p "$LOGS"
    # shellcheck disable=SC2016 # expanded by the inner shell
    as_root env LOG="$LOGS/$2.log" sh -c '
        ulimit -n "$1" 2>/dev/null || ulimit -n "$(ulimit -Hn)"
        program=$2
        shift 2
        exec setsid --fork "$@" "$program" </dev/null >"$LOG" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
    ' sh "$@"
}

# wait_for ENGINE PROGRAM: until it answers; not longer than its process lives, nor than START_SECONDS.
wait_for() {
    left=$((${DENSITY_START_SECONDS:-30} * 5))
    while ! answers "$1"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        # The first second belongs to the process's own start.
        [ "$left" -gt $((${DENSITY_START_SECONDS:-30} * 5 - 5)) ] || is_running "$2" || return 1
        sleep 0.2
    done
}

# did_not_come_up ENGINE PROGRAM: its last words, then the one line.
did_not_come_up() {
    as_root tail -n 8 "$LOGS/$2.log" 2>/dev/null | indented
    lacking "$1" "$2 was started and does not answer: $SAYS"
}

start_docker() {
    answers docker && return 0
    if [ -n "${DOCKER_HOST:-}" ]; then
        lacking docker "DOCKER_HOST names an engine that does not answer: $SAYS"
    elif [ "$status" = 3 ]; then
        lacking docker "the engine refuses this user; as root: usermod -aG docker $(id -un), then log in again"
    elif ! have dockerd; then
        return 0 # said with the packages
    elif ! can_root; then
        lacking docker "dockerd is installed and does not run; as root: systemctl start docker, or dockerd"
    else
        say "starting dockerd"
        if with_systemd; then start_unit docker.service; else start_alone 1048576 dockerd; fi || true
        wait_for docker dockerd || did_not_come_up docker dockerd
    fi
}

# What udev's own rule does. Where no udev runs, /dev/kvm stays root's alone, so that QEMU's user cannot open it; libvirt
# then asks QEMU for its abilities anew at every lookup, which takes seconds.
open_kvm() {
    [ ! -d "$SYSROOT/run/udev" ] && getent group kvm >/dev/null || return 0
    case $(stat -c %g:%a "$SYSROOT/dev/kvm" 2>/dev/null) in 0:600 | 0:660) ;; *) return 0 ;; esac
    can_root && as_root chgrp kvm "$SYSROOT/dev/kvm" && as_root chmod 660 "$SYSROOT/dev/kvm" || return 0
    say "gave /dev/kvm to the group kvm, as udev would, so that QEMU may open it"
}

# Debian has the one daemon libvirtd, some distributions have one for each driver. No network of libvirt's is started:
# density's machines need none.
start_libvirt() {
    case " $LACKING " in *" libvirt "*) return 0 ;; esac
    if ! has_libvirt; then
        lacking libvirt "its Python module was not built (log: $CACHE/pip.log); \`make engines\` tries again"
        return 0
    fi
    answers libvirt && return 0
    daemon=libvirtd
    have libvirtd || daemon=virtqemud
    if [ "$status" = 3 ]; then
        lacking libvirt "the daemon refuses this user; as root: usermod -aG libvirt $(id -un), then log in again"
    elif ! can_root; then
        lacking libvirt "$daemon is installed and does not run; as root: systemctl start $daemon, or virtlogd -d; $daemon -d"
    else
        say "starting virtlogd and $daemon"
        if with_systemd; then
            start_unit "$daemon.service" virtlogd.socket || true
        else
            is_running virtlogd || start_alone 16384 virtlogd || true
            set --
            # shellcheck disable=SC2016 # expanded by the inner shell
            if place=$(bare_v2); then set -- unshare --mount --propagation slave sh -c 'umount "$0"; exec "$1"' "$place"; fi
            is_running "$daemon" || start_alone 8192 "$daemon" "$@" || true
        fi
        wait_for libvirt "$daemon" || did_not_come_up libvirt "$daemon"
    fi
}
