#!/bin/sh
# Makes this machine a device of the DeployX server at @SERVER@.
set -eu
umask 022

SERVER=@SERVER@
WHEEL=@WHEEL@
SHA256=@SHA256@

usage() {
    cat <<END
Makes this machine a device of $SERVER.

    curl -fsS $SERVER/agent/install.sh | sudo sh -s -- --token-file FILE

  --token-file FILE   holds the enrolment token; without it, DEPLOYX_ENROLL_TOKEN does
  --fingerprint K     SHA-256 the server's key must have; the page "Add a device" shows it
  --name N            name of the device (default: the host's)
  --prefix DIR        where the agent is installed (default: /opt/deployx-agent, or PREFIX)
  --state-dir DIR     where it keeps identity and journal (default: /var/lib/deployx-agent)
  --no-service        enrol only; "deployx-agent run" is started by something else than systemd
  --root DIR          write the systemd unit below DIR and start nothing

The Python to use is python3, or what PYTHON names. What the agent needs comes from the package
index that this machine's pip uses (PIP_INDEX_URL, PIP_FIND_LINKS and so on hold). Run again, it
changes only what is not yet as it should be: that is how the agent is updated, and brought
back to the older version of a server that went back.
END
}

say() { printf '%s\n' "$*"; }

die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

# All of it stands in functions: of a script that arrives cut off, nothing runs.
main() {
    python=${PYTHON:-python3}
    prefix=${PREFIX:-/opt/deployx-agent}
    state=/var/lib/deployx-agent
    token_file='' fingerprint='' name='' root='' service=yes
    read_options "$@"
    agent=$prefix/venv/bin/deployx-agent

    check_address
    check_machine
    wheel_is_new=no
    [ "$(cat "$prefix/wheel.sha256" 2>/dev/null || :)" = "$SHA256" ] && [ -x "$agent" ] || install_wheel
    enroll
    # Of a service, `install` sees to it.
    [ "$service" = yes ] && [ -z "$root" ] || go_back
    [ "$service" = no ] || start
}

read_options() {
    while [ $# -gt 0 ]; do
        case $1 in
        --help) usage; exit 0 ;;
        --no-service) service=no; shift; continue ;;
        --token-file | --fingerprint | --name | --prefix | --state-dir | --root) ;;
        *) die "there is no option $1; --help lists them" ;;
        esac
        [ $# -ge 2 ] && [ -n "$2" ] || die "$1 needs a value"
        case $1 in
        --token-file) token_file=$2 ;;
        --fingerprint) fingerprint=$2 ;;
        --name) name=$2 ;;
        --prefix) prefix=$2 ;;
        --state-dir) state=$2 ;;
        --root) root=$2 ;;
        esac
        shift 2
    done
    for folder in "$prefix" "$state" "${root:-/}"; do
        case $folder in /*) ;; *) die "$folder must begin with /" ;; esac
    done
}

check_address() {
    case $SERVER in
    https://*) return ;;
    http://*@*) ;;
    http://localhost | http://localhost[:/]*) return ;;
    http://127.0.0.1 | http://127.0.0.1[:/]*) return ;;
    'http://[::1]' | 'http://[::1]'[:/]*) return ;;
    esac
    die "$SERVER is refused: plain http:// may lead to this machine itself alone"
}

check_machine() {
    command -v "$python" >/dev/null 2>&1 ||
        die "there is no $python: install Python 3.11 or newer, or name it in PYTHON"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null ||
        die "$("$python" --version) is too old: the agent needs 3.11 or newer; PYTHON names another"
    "$python" -c 'import ensurepip, venv' </dev/null 2>/dev/null ||
        die "$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"
    [ "$service" = yes ] && [ -z "$root" ] || return 0
    [ "$(id -u)" -eq 0 ] || die "run it as root: … | sudo sh -s -- …"
    case $(systemctl is-system-running 2>/dev/null || :) in
    '' | offline | unknown)
        die "this machine does not run systemd: add --no-service and start $agent run another way"
        ;;
    esac
}

install_wheel() {
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
    say "Fetching $WHEEL from $SERVER"
    fetch "$SERVER/agent/$WHEEL" "$work/$WHEEL"
    mkdir -p "$prefix"
    [ -x "$prefix/venv/bin/python" ] || "$python" -m venv --clear "$prefix/venv" </dev/null
    say "Installing into $prefix"
    pip install "$work/$WHEEL"
    # The same version may have been installed from other sources.
    pip install --no-index --no-deps --force-reinstall "$work/$WHEEL"
    rm -rf "$work"
    printf '%s\n' "$SHA256" >"$prefix/wheel.sha256"
    wheel_is_new=yes
}

pip() {
    "$prefix/venv/bin/python" -m pip --quiet --no-input --disable-pip-version-check "$@" </dev/null ||
        die "pip could not install the agent; see above"
}

# Python is here in any case; curl and sha256sum may not be.
fetch() {
    "$python" - "$1" "$2" "$SHA256" <<'END' || die "nothing was installed"
import hashlib
import sys
import urllib.request

url, path, wanted = sys.argv[1:]
proxies = urllib.request.ProxyHandler({} if url.startswith("http:") else None)
try:
    with urllib.request.build_opener(proxies).open(url, timeout=60) as answer:
        content = answer.read(64 * 1024 * 1024)
except (OSError, ValueError) as problem:
    sys.exit(f"{url} cannot be fetched: {problem}")
found = hashlib.sha256(content).hexdigest()
if found != wanted:
    sys.exit(f"{url} has the SHA-256 {found}, not {wanted}: get install.sh anew and try again")
with open(path, "wb") as file:
    file.write(content)
END
}

enroll() {
    if [ -e "$state/server.json" ]; then
        "$agent" status --state-dir "$state" </dev/null | grep -qxF "server       $SERVER" ||
            die "$state belongs to a device of another server: see $agent enroll --help, --force"
        say "Enrolled already."
        [ -z "$token_file${DEPLOYX_ENROLL_TOKEN:-}" ] || token_is_left
        return
    fi
    set -- --state-dir "$state"
    [ -z "$name" ] || set -- "$@" --name "$name"
    [ -z "$fingerprint" ] || set -- "$@" --server-key-fingerprint "$fingerprint"
    [ -z "$token_file" ] || set -- "$@" --token-file "$token_file"
    "$agent" enroll "$@" "$SERVER" </dev/null || die "the agent is installed, but could not enrol"
}

token_is_left() {
    say "The token was not used: this machine is the device that it was, even if that was revoked."
    say "To make it a new device, stop the agent (systemctl stop deployx-agent) and run"
    say "  $agent enroll --force --state-dir $state --token-file FILE $SERVER"
    say "then start it again. What the old device did is kept beside $state."
}

# Whatever newer version came by itself, the one that lies here now is started.
go_back() {
    rm -f "$state/update.json" "$state/update-starts.json"
}

start() {
    set -- --state-dir "$state"
    [ -z "$root" ] || set -- "$@" --root "$root"
    [ "$wheel_is_new" = no ] || set -- "$@" --restart
    "$agent" install "$@" </dev/null
}

main "$@"
