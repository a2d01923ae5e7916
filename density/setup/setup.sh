#!/bin/sh
# Make this host ready: `setup.sh run` for density alone, `dev` for its tests too, `engines` to try again what failed
# before and to say what is there. With DENSITY_REQUIRE_ENGINES=1 a missing engine is a failure.
# Environment: DENSITY_PYTHON (which Python), DENSITY_SUDO=no (never use sudo), DENSITY_START_SECONDS (for daemons).
set -eu
cd "$(dirname "$0")/../.."
. density/setup/lib.sh
. density/setup/packages.sh
. density/setup/venv.sh
. density/setup/daemons.sh

report_kvm() {
    case " $LACKING " in *" libvirt "*) return 0 ;; esac
    [ -e "$SYSROOT/dev/kvm" ] ||
        lacking kvm "no /dev/kvm, so virtual machines are emulated; turn virtualisation on in the firmware, or nesting in the host above"
}

report_engines() {
    for engine in docker libvirt; do
        if answers "$engine"; then say "$engine $SAYS"; fi
    done
    have qemu-system-x86_64 && say "$(qemu-system-x86_64 --version | head -n 1)"
    compiler_works && say "$(cc --version | head -n 1)"
    [ ! -e "$SYSROOT/dev/kvm" ] || say "/dev/kvm is there (whether a guest boots by it, only a run finds out)"
}

level=${1:?run, dev or engines}
take_turn
install_packages "$level"
report_packages
make_ready "$level"
PYTHON=.venv/bin/python
start_docker
open_kvm
start_libvirt
report_kvm
rm -f "$CACHE/needs-root"
[ -z "$NEEDS_ROOT" ] || : >"$CACHE/needs-root"
[ "$level" != engines ] || report_engines
[ "${DENSITY_REQUIRE_ENGINES:-0}" = 1 ] || exit 0
case " $LACKING " in
    *" docker "* | *" libvirt "*) die "an engine is missing, and DENSITY_REQUIRE_ENGINES=1" ;;
    *" tests "*) die "the tests need what is missing, and DENSITY_REQUIRE_ENGINES=1" ;;
esac
