#!/bin/sh
# `up.sh`: start Prometheus and Grafana beside density; `up.sh down` ends them, and so on: what compose takes.
set -eu
cd "$(dirname "$0")"
if docker compose version >/dev/null 2>&1; then
    compose="docker compose"
elif docker-compose version >/dev/null 2>&1; then
    compose=docker-compose
else
    echo "grafana: needs Docker with compose (Debian: apt-get install docker-compose; Ubuntu: docker-compose-v2);" \
        "docs/grafana.md says how to use a Prometheus and a Grafana of your own" >&2
    exit 5
fi
[ $# -gt 0 ] || set -- up --detach
# shellcheck disable=SC2086 # `docker compose` is two words
$compose -p density-grafana -f compose.yaml "$@"
[ "$1" != up ] || echo "Grafana: http://127.0.0.1:3000   Prometheus: http://127.0.0.1:9090   end them: make grafana ARGS=down"
