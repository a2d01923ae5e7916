#!/bin/sh
# `exec.sh COMMAND...`: run it as this user, or through sudo where setup.sh found that the engines answer root alone.
set -eu
# shellcheck source=density/setup/lib.sh
. "$(dirname "$0")/lib.sh"
if [ -e "$CACHE/needs-root" ] && [ "$(id -u)" != 0 ] && can_root; then
    say "running as root by sudo, for the engines answer nobody else (DENSITY_SUDO=no prevents it)"
    set -- env ${DOCKER_HOST:+"DOCKER_HOST=$DOCKER_HOST"} ${CI:+"CI=$CI"} \
        DENSITY_REQUIRE_ENGINES="${DENSITY_REQUIRE_ENGINES:-0}" "$@"
    # shellcheck disable=SC2086 # `sudo -n` is two words
    exec $ROOT_BY "$@"
fi
exec "$@"
