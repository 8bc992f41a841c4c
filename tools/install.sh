#!/bin/sh
# Install what the controller needs: apt packages, and pinned Python tools in .venv. Quick when nothing is missing.
# Usage: tools/install.sh [hosts|pytest|tests|heroku|vagrant|browser|spa]
#   hosts    adds what booting hosts needs, and so wants root
#   pytest   what tests need that start nothing here; the others below have it too
#   tests    what unit tests need
#   heroku   what trying the Heroku button needs
#   vagrant  what trying the Vagrantfile needs
#   browser  what tests in a browser need
#   spa      what building the example front end needs
set -eu
cd "$(dirname "$0")/.."

refuse() {
    echo "$1" >&2
    exit 1
}

require_debian() {
    command -v apt-get >/dev/null || refuse "This is not Debian or Ubuntu: run it in one, for example in a virtual machine."
    # shellcheck source=/dev/null
    . /etc/os-release
    case "$ID-${VERSION_CODENAME:-}" in
    debian-bookworm | debian-trixie | ubuntu-jammy | ubuntu-noble | ubuntu-resolute) ;;
    *) refuse "$PRETTY_NAME is not supported here: use Debian 12 or 13, or Ubuntu 22.04, 24.04 or 26.04." ;;
    esac
}

# What changes other machines works on any that has git, ssh and Python; what starts something on this one does not.
case "${1:-}" in
"" | pytest) ;;
*) require_debian ;;
esac
case "${1:-}" in
hosts | vagrant) [ "$(id -u)" -eq 0 ] || refuse "Booting hosts needs root: run the same command with sudo." ;;
esac
free=$(df -Pm . | awk 'NR == 2 {print $4}')
[ "$free" -ge 4096 ] || refuse "Only $free MiB are free here and 4096 are needed: free some space, then try again."

# Each as command:package, since what is there need not come from a package.
tools="git:git ssh:openssh-client /usr/bin/python3:python3"
case "${1:-}" in
hosts) tools="$tools ip:iproute2 mmdebstrap:mmdebstrap nft:nftables systemd-nspawn:systemd-container" ;;
tests) tools="$tools pg_virtualenv:postgresql" ;;
heroku) tools="$tools pg_virtualenv:postgresql openssl:openssl /usr/lib/rabbitmq/bin/rabbitmq-server:rabbitmq-server" ;;
vagrant)
    tools="$tools ip:iproute2 mmdebstrap:mmdebstrap nft:nftables curl:curl"
    tools="$tools vagrant:vagrant lxc-start:lxc redir:redir sudo:sudo"
    for plugin in vagrant-lxc vagrant-libvirt; do
        dpkg --status $plugin >/dev/null 2>&1 || tools="$tools $plugin:$plugin"
    done
    ;;
browser)
    tools="$tools certutil:libnss3-tools openssl:openssl"
    # Any of them serves. Ubuntu's own package only fetches a snap.
    if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then
        [ "$ID" = debian ] || refuse "Tests in a browser need one: install Google Chrome, then try again."
        tools="$tools chromium:chromium"
    fi
    ;;
esac

# Never a version manager's: those follow .python-version, which is Heroku's.
python=/usr/bin/python3
missing=""
for tool in $tools; do
    command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool##*:}"
done
"$python" -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || refuse "Not installed:$missing, as Debian calls it: install it first."
    [ "$(id -u)" -eq 0 ] || refuse "Not installed:$missing. Run: sudo apt-get install$missing"
    echo "Installing$missing"
    log=$(mktemp)
    apt-get -o APT::Update::Error-Mode=any -o Acquire::Retries=1 -qq update >"$log" 2>&1 ||
        refuse "The package archives do not answer; is there a network? apt said: $(tail -1 "$log")"
    # A database server of its own would surprise whoever owns this machine: tests start a private one.
    case "$missing" in *" postgresql"*)
        mkdir -p /etc/postgresql-common/createcluster.d
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/slipway.conf
        ;;
    esac
    # Nor may a broker start: not now, and below, not at the next boot.
    case "$missing" in *" rabbitmq-server"*)
        if [ ! -e /usr/sbin/policy-rc.d ]; then
            trap 'rm -f /usr/sbin/policy-rc.d' EXIT
            printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
            chmod 0755 /usr/sbin/policy-rc.d
        fi
        ;;
    esac
    # shellcheck disable=SC2086  # one word each
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $missing >"$log" 2>&1 ||
        refuse "apt could not install$missing: $(tail -3 "$log")"
    case "$missing" in *" rabbitmq-server"*)
        systemctl --quiet disable rabbitmq-server.service epmd.service epmd.socket 2>/dev/null || true
        ;;
    esac
    rm -f "$log"
fi

# What builds releases on hosts makes the virtual environments here, and tests run it.
builders() {
    cmp -s roles/release/files/tools.txt .cache/uv/.requirements && return
    log=$(mktemp)
    {
        /usr/bin/python3 -m venv --clear .cache/uv &&
            .cache/uv/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
                --requirement roles/release/files/tools.txt
    } >"$log" 2>&1 || refuse "The tools that build releases could not be installed; is there a network? $(tail -1 "$log")"
    cp roles/release/files/tools.txt .cache/uv/.requirements
    rm -f "$log"
}

# Build the virtual environment $1 from the compiled requirements $2, if it is not of them already.
environment() {
    cmp -s "$2" "$1/.requirements" && return
    echo "Installing Python packages into $1"
    log=$(mktemp)
    {
        .cache/uv/bin/uv venv --quiet --clear --python "$python" "$1" &&
            .cache/uv/bin/uv pip sync --quiet --require-hashes --python "$1/bin/python" "$2"
    } >"$log" 2>&1 || refuse "The packages of $2 could not be installed; is there a network? $(tail -1 "$log")"
    cp "$2" "$1/.requirements"
    rm -f "$log"
}

# The package `ansible` has 47 collections in 256 MB, and the roles use three.
collections() {
    cmp -s ansible/collections.txt .venv/.collections && return
    log=$(mktemp)
    kept=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ansible_collections
    {
        .cache/uv/bin/uv pip install --quiet --no-deps --require-hashes --python .venv/bin/python \
            --target .venv/collections --requirement ansible/collections.txt &&
            mkdir -p "$kept/ansible" "$kept/community" &&
            mv .venv/collections/ansible_collections/ansible/posix "$kept/ansible" &&
            mv .venv/collections/ansible_collections/community/crypto "$kept/community" &&
            mv .venv/collections/ansible_collections/community/postgresql "$kept/community"
    } >"$log" 2>&1 || refuse "The collections could not be installed; is there a network? $(tail -1 "$log")"
    rm -rf .venv/collections "$log"
    cp ansible/collections.txt .venv/.collections
}

export UV_SYSTEM_CERTS=1
# The system's own Python where it is new enough; Ubuntu 22.04's is not, and uv fetches one.
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || python='>=3.11,<3.15'
builders
case "${1:-}" in
spa) environment .cache/node ansible/node.txt ;;
"" | hosts)
    # Where tests have run, their packages are there too: all of these are among them.
    cmp -s tests/requirements.txt .venv/.requirements || environment .venv ansible/requirements.txt
    collections
    ;;
*)
    environment .venv tests/requirements.txt
    collections
    ;;
esac
[ "${1:-}" != tests ] || environment .cache/app app/requirements/test.txt
