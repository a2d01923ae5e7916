# System packages: what is missing, why it is wanted, and getting it by apt. Sourced after lib.sh.
# shellcheck shell=sh

MISSING="" # lines "group package why"

# want GROUP PACKAGE WHY CHECK...: the package is missing where the check fails. Capabilities are checked, not package
# names, so that another vendor's engine or a hand-made one counts as well.
want() {
    group=$1 package=$2 why=$3
    shift 3
    "$@" && return 0
    MISSING="$MISSING$group $package $why
"
}

# find_python [NAME...]: sets PYTHON and PYTHON_VERSION, both empty where there is none. The newest is taken; it must also
# run, which a version manager's shim may not.
find_python() {
    PYTHON="" PYTHON_VERSION=""
    for name in "$@" ${DENSITY_PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do
        if version=$("$name" -c 'import sys; v = sys.version_info; print("%d.%d" % v[:2]); sys.exit(v < (3, 11))' 2>/dev/null); then
            PYTHON=$name PYTHON_VERSION=$version
            return 0
        fi
    done
}

# A release whose own python3 is too old may have a newer one beside it.
python_package() {
    for version in 3.13 3.12 3.11; do
        if have python3 && apt-cache show "python$version" >/dev/null 2>&1; then echo "python$version" && return 0; fi
    done
    echo python3
}

venv_works() { .venv/bin/python -c 'import pip' 2>/dev/null; }
python_has_venv() { venv_works || { [ -n "$PYTHON" ] && "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; }; }

python_has_headers() {
    [ -n "$PYTHON" ] &&
        "$PYTHON" -c 'import os, sysconfig; os.stat(sysconfig.get_paths()["include"] + "/Python.h")' 2>/dev/null
}

# The payload is linked statically, so the C library must be there as an archive too.
compiler_works() {
    have cc && case $(cc -print-file-name=libc.a 2>/dev/null) in /*) [ -e "$SYSROOT/usr/include/stdio.h" ] ;; *) false ;; esac
}

libvirt_headers() { have pkg-config && pkg-config --exists libvirt; }
libvirt_daemon() { have libvirtd || have virtqemud; }

# libvirt_driver NAME
libvirt_driver() {
    for file in "$SYSROOT"/usr/lib*/libvirt/connection-driver/libvirt_driver_"$1".so \
        "$SYSROOT"/usr/lib/*/libvirt/connection-driver/libvirt_driver_"$1".so; do
        [ ! -e "$file" ] || return 0
    done
    return 1
}

# An engine that DOCKER_HOST names, or that is there already, is never joined by a second one, even if it refuses this user.
docker_engine() { [ -n "${DOCKER_HOST:-}" ] || have dockerd || ask docker || [ $? = 3 ]; }

compose_works() { have docker-compose || docker compose version >/dev/null 2>&1; }

# Ubuntu has the plugin as a package; Debian's docker-compose is the program, and from 13 on both.
compose_package() {
    if apt-cache show docker-compose-v2 >/dev/null 2>&1; then echo docker-compose-v2; else echo docker-compose; fi
}

# find_missing LEVEL
find_missing() {
    MISSING=""
    find_python .venv/bin/python # its headers must fit
    if [ -n "$PYTHON" ]; then name=python$PYTHON_VERSION; else name=$(python_package); fi
    want python "$name" "density is written in it" test -n "$PYTHON"
    want python "$name-venv" "keeps density's Python packages apart, in .venv" python_has_venv
    want compiler gcc "compiles the payload, the program inside every instance" have cc
    want compiler libc6-dev "headers and static C library for the payload" compiler_works
    want docker docker.io "the engine that runs containers" docker_engine
    if [ "$1" = dev ]; then
        want tests prometheus "reads density's metrics in the tests, and checks them" have promtool
        want tests chromium "opens reports in the tests" have chromium
        want tests grub-pc-bin "makes disks that boot, in the tests" test -e "$SYSROOT/usr/lib/grub/i386-pc/boot.img"
        want tests chromium-driver "tells it what to open" have chromedriver
        want tests shellcheck "reads the scripts that density writes, in the tests" have shellcheck
        want tests "$(compose_package)" "reads the file of \`make grafana\`, in the tests" compose_works
    fi
    [ "$(uname -m)" = x86_64 ] || return 0
    want libvirt libvirt-daemon-system "the daemon that manages virtual machines" libvirt_daemon
    want libvirt libvirt-daemon-driver-qemu "its driver for QEMU" libvirt_driver qemu
    want libvirt libvirt-daemon-driver-lxc "its driver for LXC containers" libvirt_driver lxc
    want libvirt libvirt-clients "virsh, to look at the machines by hand" have virsh
    want libvirt qemu-system-x86 "what runs a virtual machine" have qemu-system-x86_64
    want libvirt qemu-utils "makes copy-on-write disks for virtual machines" have qemu-img
    want libvirt pkg-config "finds libvirt's headers" have pkg-config
    want libvirt libvirt-dev "the headers that libvirt's Python module is built with" libvirt_headers
    want libvirt "$name-dev" "Python's headers, for the same module" python_has_headers
}

# packages_of GROUP: its missing packages, on one line; `.` stands for every group.
packages_of() { printf '%s' "$MISSING" | sed -n "s/^$1[a-z]* \([^ ]*\) .*/\1/p" | paste -sd' ' -; }
groups_missing() { printf '%s' "$MISSING" | cut -d' ' -f1 | uniq; }

apt_update() {
    as_root apt-get update -qq -o DPkg::Lock::Timeout=300 </dev/null >>"$CACHE/apt.log" 2>&1 9>&- ||
        say "apt-get update failed, going on with the package lists there are (log: $CACHE/apt.log)"
}

# --no-remove: what the user has stays, whatever it conflicts with.
apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get install -y -qq --no-install-recommends \
        --no-remove -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@" \
        </dev/null >>"$CACHE/apt.log" 2>&1 9>&-
}

# A guest kernel is got by `apt-get download`, which needs package lists; images of containers come without them.
fetch_lists() {
    for file in "$SYSROOT"/var/lib/apt/lists/*_Packages*; do
        [ ! -e "$file" ] || return 0
    done
    have apt-get && can_root || return 0
    say "fetching apt's package lists, a guest kernel may have to be downloaded"
    apt_update
}

# What apt could not give is not asked for again by every `make run`: `make engines` does.
refused_before() { [ "$1" != engines ] && [ "$(cat "$CACHE/refused" 2>/dev/null)" = "${MISSING%?}" ]; }

# install_packages LEVEL
install_packages() {
    find_missing "$1"
    [ -n "$MISSING" ] || { fetch_lists && return; }
    if ! have apt-get || ! can_root || refused_before "$1"; then return 0; fi
    : >"$CACHE/apt.log"
    say "system packages are missing and are installed now by apt, which may take minutes (log: $CACHE/apt.log)"
    apt_update
    find_missing "$1" # lists may have brought another name
    printf '%s' "$MISSING" | while read -r _ package why; do say "$(printf '  %-27s %s' "$package" "$why")"; done
    # shellcheck disable=SC2046 # one argument a package
    if ! apt_install $(packages_of .); then
        for group in $(groups_missing); do
            # shellcheck disable=SC2046 # one argument a package
            apt_install $(packages_of "$group") || { say "apt did not install what $group needs:" && last_lines "$CACHE/apt.log" 4; }
        done
    fi
    # Newer releases ship the client apart; density does without it, a person would miss it.
    have docker || ! have dockerd || apt_install docker-cli || true
    find_missing "$1"
    printf '%s' "$MISSING" >"$CACHE/refused"
}

# how_to_get GROUP: the end of the sentence about a missing thing.
how_to_get() {
    if ! have apt-get; then
        echo "no apt here, install what Debian calls $(packages_of "$1") (see docs/install.md)"
    elif ! can_root; then
        echo "as root: apt-get install $(packages_of "$1")"
    else
        echo "apt did not install $(packages_of "$1"), see $CACHE/apt.log; \`make engines\` tries again"
    fi
}

report_packages() {
    for group in $(groups_missing); do
        case $group in
            python) die "python: none here is 3.11 or newer and has venv; $(how_to_get python)" ;;
            compiler) lacking compiler "no C compiler with a static C library, a Python package takes its place; $(how_to_get compiler)" ;;
            docker) lacking docker "no engine, so no containers; $(how_to_get docker)" ;;
            tests) lacking tests "some cannot run; $(how_to_get tests)" ;;
            libvirt) lacking libvirt "not complete, so no virtual machines; $(how_to_get libvirt)" ;;
        esac
    done
    [ "$(uname -m)" = x86_64 ] || lacking libvirt "not used: density's virtual machines are x86_64, this host is $(uname -m)"
}
