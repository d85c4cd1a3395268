# Shared by the scripts here: messages, system packages, the virtual environment. Sourced, not run.
# shellcheck shell=sh

name=$(basename "$0")

say() {
    printf '%s: %s\n' "$name" "$*" >&2
}

die() {
    say "$*"
    exit 1
}

# A command that runs as root: nothing, sudo, or failure when neither is to be had unasked.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

may_be_root() {
    [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

has_venv() {
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1
}

# has_library libNAME.so.N: whether the loader finds it; ldconfig is not on every user's PATH.
has_library() {
    PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null | grep -qF "$1 "
}

# Debian packages that running Porter needs and that are not there.
missing_for_runtime() {
    has_venv || printf ' python3 python3-venv'
    has_library libportaudio.so.2 || printf ' libportaudio2'
}

# missing_packages NAME...: those that dpkg does not know as installed.
missing_packages() {
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            printf ' %s' "$package"
    done
}

# install_packages NAME...: with apt, or one line that says what a person has to do.
install_packages() {
    [ $# -gt 0 ] || return 0
    command -v apt-get >/dev/null ||
        die "missing: $*; install your system's packages for them (the names are Debian's)"
    may_be_root || die "missing system packages; run: sudo apt-get install -y $*"
    say "installing $*"
    log=$(mktemp)
    if ! { as_root apt-get -qq update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
            install "$@"; } >"$log" 2>&1 </dev/null; then
        reason=$(grep '^E:' "$log" | head -n 1 || true)
        rm -f "$log"
        die "apt-get could not install $*: ${reason:-it gave no reason}"
    fi
    rm -f "$log"
}

# make_venv FOLDER: a virtual environment with a Python that Porter runs on.
make_venv() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die \
        "Porter needs Python 3.11 or newer, but python3 is $(python3 -V 2>&1 | cut -d ' ' -f 2)"
    if ! "$1/bin/python" -m pip --version >/dev/null 2>&1; then
        # --clear: a folder left half-made by an interrupted run is made again.
        python3 -m venv --clear "$1" >/dev/null || die "python3 -m venv $1 failed"
    fi
}

# pip_install FOLDER ARGUMENT...: with the pinned versions; one line with pip's reason on failure.
pip_install() {
    venv=$1
    shift
    if ! "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --progress-bar off \
        -c constraints.txt "$@" >"$venv/pip.log" 2>&1; then
        reason=$(grep -E '(Error|ERROR): ' "$venv/pip.log" | head -n 1 || true)
        die "pip could not install Porter or what it needs: ${reason:-no reason given}; all it said is in $venv/pip.log"
    fi
    rm -f "$venv/pip.log"
}

# install_checkout EXTRAS [PIP OPTION ...]: the checkout itself into .venv, editable; skipped when
# nothing changed since.
install_checkout() {
    extras=$1
    shift
    make_venv .venv
    stamp=.venv/porter-installed$extras
    wanted=$(cat pyproject.toml constraints.txt | cksum)
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        say "installing Porter into .venv"
        pip_install .venv "$@" -e ".$extras"
        printf '%s\n' "$wanted" >"$stamp"
    fi
}
