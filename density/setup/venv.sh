# The virtual environment: made once, then left alone until something it depends on changes. Sourced after packages.sh.
# shellcheck shell=sh

STAMP=.venv/density-setup

# libvirt's Python module is built here, against this host's libvirt; ziglang is a C compiler as a Python package.
extras() {
    if ! compiler_works; then
        echo compiler
    elif libvirt_headers && python_has_headers; then
        echo libvirt
    fi
}

# stamp_for GROUP EXTRAS: everything that makes a new installation necessary. A moved clone does: its scripts hold the path.
stamp_for() { echo "$1 [$2] $(cksum <pyproject.toml) $PWD"; }

pip_install() { .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check "$@" </dev/null >>"$CACHE/pip.log" 2>&1 9>&-; }

# make_venv STAMP: unless there is one that works here.
make_venv() {
    case $1 in "" | *" $PWD") venv_works && return 0 ;; esac
    # Only one that this script made may be emptied.
    if [ -e .venv ] && [ -z "$1" ] && [ ! -e "$CACHE/venv-begun" ]; then
        die ".venv: does not work and was not made by this setup; move it away and try again"
    fi
    find_python
    say "making .venv with $PYTHON ($PYTHON_VERSION)"
    : >"$CACHE/venv-begun"
    if ! "$PYTHON" -m venv --clear .venv >>"$CACHE/pip.log" 2>&1 9>&-; then
        last_lines "$CACHE/pip.log" 4
        die ".venv: could not be made (log: $CACHE/pip.log)"
    fi
}

has_libvirt() { .venv/bin/python -c 'import libvirt' 2>/dev/null; }

# make_ready LEVEL: `dev` brings tests and checks too; the other levels are content with either.
make_ready() {
    group=$1 extras=$(extras)
    now=$(cat "$STAMP" 2>/dev/null) || now=""
    case $group,$now in
        dev,*) ;;
        *,dev*) group=dev ;;
        *) group=run ;;
    esac
    if [ "$now" = "$(stamp_for "$group" "$extras")" ] && [ -x .venv/bin/python ]; then
        [ "$1,$extras" = engines,libvirt ] && ! has_libvirt || return 0
    fi
    : >"$CACHE/pip.log"
    make_venv "$now"
    say "installing Python packages into .venv (log: $CACHE/pip.log)"
    # The first pip that knows --group.
    if ! pip_install 'pip>=25.1'; then
        last_lines "$CACHE/pip.log" 4
        die ".venv: pip could not be brought up to date (log: $CACHE/pip.log)"
    fi
    set --
    [ "$group" != dev ] || set -- --group dev
    if ! pip_install "$@" --editable ".${extras:+[$extras]}"; then
        last_lines "$CACHE/pip.log" 4
        if [ -z "$extras" ] || ! pip_install "$@" --editable .; then
            die ".venv: density could not be installed (log: $CACHE/pip.log)"
        fi
    fi
    stamp_for "$group" "$extras" >"$STAMP"
    rm -f "$CACHE/venv-begun"
}
