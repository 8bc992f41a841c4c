#!/usr/bin/env python3
"""Boot the hosts of an inventory on this machine with systemd-nspawn, or remove them.

    machines.py up      inventories/local
    machines.py save    inventories/local
    machines.py restore inventories/local
    machines.py down    inventories/local

A host is a Debian-family root file system: a cached base image below, an overlay of its own above. Hosts of
one inventory share a bridge, an address range and an nftables table that no other copy of this program uses.
`save` shuts the hosts down, keeps what they hold and boots them again; `restore` throws away all that they did since
and boots them as they were saved, with the same keys and addresses. `up` writes `machines.yml` (how to reach them,
ports) and `.secrets/` (SSH key, known hosts) into the inventory; `down` removes them. Only the standard library is
used, so that it runs before anything is installed.
"""

import argparse
import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache"
ADMIN = "admin"
NETWORKS = 32
LOCK = Path("/run/lock/slipway-machines.lock")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
FORWARDING_WAS_OFF = Path("/run/slipway-forwarding-was-off")
IMAGE_FORMAT = "2"
# With --keep-unit, nspawn ends with this code when its host reboots, and leaves starting it again to its caller.
REBOOT = 133
REBOOT_KEYS = ("RestartForceExitStatus", "SuccessExitStatus")
FREE_MIB = 4096
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "iproute2", "ca-certificates"),
    *("python3", "python3-apt", "openssh-server", "sudo"),
)
# The releases that hosts are made of, newest supported last: a controller tests its own and a neighbour.
SUITES = {"debian": ["bookworm", "trixie"], "ubuntu": ["jammy", "noble", "resolute"]}


class Refusal(Exception):
    """What is wrong and what to do about it, in one sentence for a person."""


def run(*command, **options):
    """Run a command quietly; its own words become the refusal when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise Refusal(f"`{' '.join(map(str, command))}` failed: " + " / ".join(words))
    return done.stdout


def succeeds(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, check=False).returncode == 0


def say(text):
    print(text, flush=True)


# --- what the controller is ------------------------------------------------------------------------------------


def require_controller():
    if os.geteuid() != 0:
        raise Refusal("Booting hosts needs root: run the same command with sudo.")
    missing = [name for name in ("mmdebstrap", "systemd-nspawn", "nft", "ip", "ssh-keygen") if not shutil.which(name)]
    if missing:
        raise Refusal(f"Missing on this machine: {', '.join(missing)}; `molecule/shared/tools.sh hosts` installs them.")


def require_room(path):
    free = shutil.disk_usage(path).free // 2**20
    if free < FREE_MIB:
        raise Refusal(f"{path} has {free} MiB free and the hosts need {FREE_MIB}: free some space, then try again.")
    if file_system(path) == "overlay":
        raise Refusal(f"{path} lies on an overlay file system, which cannot carry another: clone onto a real disk.")


def file_system(path):
    return run("findmnt", "--noheadings", "--output=FSTYPE", "--target", path).strip()


def own_release():
    """This machine's distribution and codename: ("debian", "bookworm")."""
    fields = dict(
        line.replace('"', "").split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    return fields.get("ID", "?"), fields.get("VERSION_CODENAME", "?")


def suites():
    """The two releases to test on: SLIPWAY_SUITES, or this machine's own and its neighbour."""
    if named := os.environ.get("SLIPWAY_SUITES", "").split():
        return named
    distribution, codename = own_release()
    known = SUITES.get(distribution, [])
    if codename not in known:
        supported = "; ".join(f"{name}: {', '.join(names)}" for name, names in SUITES.items())
        raise Refusal(f"{distribution} {codename} is not supported as a controller ({supported}).")
    place = known.index(codename)
    return [codename, known[place - 1] if place else known[1]]


def archives(suite):
    """The apt lines of `suite`, on the mirrors that this machine itself uses."""
    shape = "$(REPO_URI) $(RELEASE) $(CODENAME)"
    distribution, own = own_release()
    origin = f"Origin: {distribution.capitalize()}"
    targets = run("apt-get", "indextargets", "--format", shape, "Created-By: Packages", origin)
    main = security = None
    for line in targets.splitlines():
        uri, *names = line.split()
        if any(name.endswith("-security") for name in names):
            security = security or uri
        elif own in names:
            main = main or uri
    if not main:
        raise Refusal("apt knows no archive of this release: run `apt-get update`, then try again.")
    components = "main universe" if distribution == "ubuntu" else "main"
    lines = [f"deb {main} {suite} {components}", f"deb {main} {suite}-updates {components}"]
    if security:
        lines.append(f"deb {security} {suite}-security {components}")
    return lines


def resolvers():
    """The resolver file to hand to hosts: one whose addresses are reachable from outside this machine."""
    upstream = Path("/run/systemd/resolve/resolv.conf")
    own = Path("/etc/resolv.conf").read_text()
    return upstream.read_text() if "127.0.0." in own and upstream.exists() else own


# --- images ----------------------------------------------------------------------------------------------------


def image(suite):
    """Build the root file system of `suite` once and return its folder."""
    lines = archives(suite)
    authorities = sorted(Path("/usr/local/share/ca-certificates").glob("**/*.crt"))
    parts = [IMAGE_FORMAT, *PACKAGES, *lines, *(path.read_text() for path in authorities)]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    finished = CACHE / "images" / f"{suite}-{key}"
    if finished.exists():
        return finished
    say(f"Building the {suite} base image (once)")
    partial = finished.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    proxy = run("apt-config", "dump", "Acquire::http::Proxy").strip()
    run(
        "mmdebstrap",
        "--variant=minbase",
        "--skip=cleanup/apt/lists",
        f"--include={','.join(PACKAGES)}",
        *([f"--aptopt={proxy}"] if proxy else []),
        f'--customize-hook=chroot "$1" useradd --create-home --shell=/bin/bash {ADMIN}',
        f'--customize-hook=echo "{ADMIN} ALL=(ALL) NOPASSWD:ALL" > "$1/etc/sudoers.d/90-{ADMIN}"',
        f'--customize-hook=chmod 0440 "$1/etc/sudoers.d/90-{ADMIN}"',
        *(f"--customize-hook=copy-in {path} /usr/local/share/ca-certificates" for path in authorities),
        '--customize-hook=chroot "$1" update-ca-certificates',
        '--customize-hook=chroot "$1" systemctl enable systemd-networkd ssh',
        '--customize-hook=rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/hostname "$1"/etc/resolv.conf',
        '--customize-hook=: > "$1"/etc/machine-id',
        suite,
        partial,
        *lines,
    )
    partial.rename(finished)
    return finished


# --- network ---------------------------------------------------------------------------------------------------


class Network:
    """Number `number` of the networks this program may use: a bridge, a /24 and an nftables table."""

    def __init__(self, number):
        self.number = number
        self.name = f"slipway{number}"
        prefix = os.environ.get("SLIPWAY_NETWORK", "10.213")
        try:
            self.range = ipaddress.ip_network(f"{prefix}.{number}.0/24")
        except ValueError as error:
            raise Refusal(
                f"SLIPWAY_NETWORK is {prefix}, and should be the first two numbers of a private range: 10.77."
            ) from error
        self.gateway = self.range[1]
        self.ports = {"project_http_port": 8080 + number, "project_https_port": 8443 + number}

    def address(self, place):
        return str(self.range[10 + place])

    def is_free(self):
        if Path("/sys/class/net", self.name).exists():
            return False
        routes = json.loads(run("ip", "-json", "route", "show", "table", "all", "type", "unicast"))
        taken = [
            ipaddress.ip_network(r["dst"], strict=False)
            for r in routes
            if r["dst"] != "default" and ":" not in r["dst"]
        ]
        return not any(self.range.overlaps(other) for other in taken) and not any(map(listening, self.ports.values()))

    def create(self, published):
        if not Path("/sys/class/net", self.name).exists():
            run("ip", "link", "add", self.name, "type", "bridge")
            run("ip", "address", "add", f"{self.gateway}/24", "dev", self.name)
            run("ip", "link", "set", self.name, "up")
        if FORWARDING.read_text().strip() == "0":
            FORWARDING_WAS_OFF.touch()
            FORWARDING.write_text("1")
        # Only this bridge may carry packets that were addressed to 127.0.0.1 on this machine.
        Path(f"/proc/sys/net/ipv4/conf/{self.name}/route_localnet").write_text("1")
        run("nft", "-f", "-", input=self.rules(published))
        # Docker and ufw drop what they do not know in iptables' FORWARD chain.
        for rule in self.forward_rules():
            if not succeeds("iptables", "--check", *rule):
                run("iptables", "--insert", *rule)

    def rules(self, published):
        publish = "\n".join(
            f"ip daddr 127.0.0.1 tcp dport {port} dnat to {published}:{port}"
            for port in self.ports.values()
            if published
        )
        return f"""
            table ip {self.name} {{}}
            delete table ip {self.name}
            table ip {self.name} {{
                chain output {{ type nat hook output priority -100; {publish}
                }}
                chain postrouting {{
                    type nat hook postrouting priority 100
                    ip saddr {self.range} oifname != "{self.name}" masquerade
                    ip saddr 127.0.0.1 oifname "{self.name}" masquerade
                }}
            }}
        """

    def forward_rules(self):
        if not shutil.which("iptables") or not succeeds("iptables", "--list-rules", "FORWARD"):
            return []
        return [("FORWARD", way, self.name, "--jump", "ACCEPT") for way in ("--in-interface", "--out-interface")]

    def unplug(self):
        """Remove what hosts that were killed left on the bridge; the kernel does so too, but when it likes."""
        for port in Path("/sys/class/net", self.name, "brif").iterdir():
            succeeds("ip", "link", "delete", port.name)

    def remove(self):
        for rule in self.forward_rules():
            while succeeds("iptables", "--delete", *rule):
                pass
        succeeds("nft", "delete", "table", "ip", self.name)
        succeeds("ip", "link", "delete", self.name)
        others = any(Path("/sys/class/net").glob("slipway*"))
        if FORWARDING_WAS_OFF.exists() and not others:
            FORWARDING.write_text("0")
            FORWARDING_WAS_OFF.unlink()


def listening(port):
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def alone():
    """Hold the lock that keeps copies of this program from choosing the same network."""
    with LOCK.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


# --- hosts -----------------------------------------------------------------------------------------------------


class Host:
    """One machine: `folder` holds its overlay and console log."""

    def __init__(self, name, folder, network, address):
        self.name = name
        self.folder = folder
        self.root = folder / "root"
        self.network = network
        self.address = address
        self.machine = f"{network.name}-{name}"

    def runners(self):
        """Identifiers of the nspawn processes that run this host."""
        mine = f"--directory={self.root}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"systemd-nspawn") and mine in words:
                    found.append(int(entry.name))
        return found

    def inhabitants(self):
        """Identifiers of the processes inside; they outlive an nspawn that was killed."""
        if not os.path.ismount(self.root):
            return []
        own = os.stat(self.root)
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.path.samestat(own, (entry / "root").stat()):
                    found.append(int(entry.name))
        return found

    def mount(self, lower=None):
        if os.path.ismount(self.root):
            return
        for part in ("upper", "work", "root"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        # The image that a host began with stays its lower layer for as long as it lives.
        source = self.folder / "image"
        if not source.is_symlink():
            source.symlink_to(lower)
        below = ":".join(str(layer) for layer in (*reversed(self.saved()), source.resolve()))
        layers = f"lowerdir={below},upperdir={self.folder}/upper,workdir={self.folder}/work"
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)

    def saved(self):
        """The upper layers that were kept, the oldest first."""
        return sorted(self.folder.glob("saved-*"))

    def save(self):
        # Long enough for a worker that finishes its task first.
        self.stop(seconds=120)
        run("umount", self.root)
        (self.folder / "upper").rename(self.folder / f"saved-{len(self.saved()):02}")

    def discard(self):
        """Forget what was written since the last save; nothing of it needs an orderly end."""
        self.stop(seconds=0)
        if os.path.ismount(self.root):
            run("umount", self.root)
        for part in ("upper", "work"):
            shutil.rmtree(self.folder / part, ignore_errors=True)

    def configure(self, public_key):
        """Write what a cloud's first boot would write: name, address, resolver, keys."""
        etc = self.root / "etc"
        (etc / "hostname").write_text(self.name + "\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{self.address} {self.name}\n")
        (etc / "resolv.conf").write_text(resolvers())
        (etc / "systemd/network/10-host0.network").write_text(
            f"[Match]\nName=host0\n\n[Network]\nAddress={self.address}/24\nGateway={self.network.gateway}\n"
            f"LinkLocalAddressing=no\nIPv6AcceptRA=no\n\n[Link]\nMTUBytes={uplink_mtu()}\n"
        )
        run("ssh-keygen", "-A", "-f", self.root)
        home = self.root / "home" / ADMIN / ".ssh"
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "authorized_keys").write_text(public_key)
        (home / "authorized_keys").chmod(0o600)
        run("chroot", self.root, "chown", "--recursive", f"{ADMIN}:{ADMIN}", f"/home/{ADMIN}/.ssh")

    def boot(self):
        nspawn = [
            "systemd-nspawn",
            f"--directory={self.root}",
            "--boot",
            "--quiet",
            f"--machine={self.machine}",
            f"--network-bridge={self.network.name}",
            "--register=no",
            "--keep-unit",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--console=pipe",
        ]
        if Path("/run/systemd/system").exists():
            service = ["systemd-run", f"--unit={self.machine}", "--slice=machine.slice", "--collect", "--quiet"]
            limits = ("Delegate=yes", "KillMode=mixed", *(f"{key}={REBOOT}" for key in REBOOT_KEYS))
            run(*service, *(f"--property={limit}" for limit in limits), *nspawn)
            return
        loop = f'while "$@"; [ $? -eq {REBOOT} ]; do :; done'
        with (self.folder / "console.log").open("ab") as console:
            subprocess.Popen(
                ["sh", "-c", loop, "sh", *nspawn],
                # The legacy cgroup layout hides from older systemd when a unit is empty; newer ones refuse it.
                env=dict(os.environ, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1"),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                preexec_fn=lambda: enter_cgroup(self.machine),
            )

    def answers(self):
        try:
            with socket.create_connection((self.address, 22), timeout=1) as connection:
                connection.settimeout(2)
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def wait(self, seconds=60):
        deadline = time.monotonic() + seconds
        while not self.answers():
            if time.monotonic() > deadline:
                raise Refusal(f"Host {self.name} did not open SSH in {seconds} s: see {self.folder}/console.log.")
            time.sleep(0.2)

    def public_key(self):
        return (self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2]

    def stop(self, seconds=20):
        """Power off, then kill: a host that hangs must not keep `down` from finishing."""
        end(signal.SIGTERM, self.runners, seconds)
        end(signal.SIGKILL, lambda: self.runners() + self.inhabitants(), 20)
        if left := self.inhabitants():
            raise Refusal(f"Host {self.name} does not end: look at its processes {', '.join(map(str, left))}.")

    def remove(self):
        self.stop()
        if os.path.ismount(self.root):
            run("umount", "--lazy", self.root)
        shutil.rmtree(self.folder)
        for cgroup in (*Path("/sys/fs/cgroup").glob(self.machine), *Path("/sys/fs/cgroup").glob(f"*/{self.machine}")):
            remove_cgroup(cgroup)


def end(sign, find, seconds):
    """Send a signal to the processes that `find` finds, and wait until it finds none."""
    for process in find():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, sign)
    deadline = time.monotonic() + seconds
    while find() and time.monotonic() < deadline:
        time.sleep(0.1)


def remove_cgroup(folder):
    """Remove an empty cgroup with all that lie in it."""
    for inner in sorted(folder.glob("**/"), reverse=True):
        with contextlib.suppress(OSError):
            inner.rmdir()


def enter_cgroup(name):
    """Give a host a cgroup of its own in each hierarchy, where no systemd does it."""
    for entry in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = entry.split()
        if kind in ("cgroup", "cgroup2"):
            own = Path(where, name)
            with contextlib.suppress(OSError):
                own.mkdir(exist_ok=True)
                if kind == "cgroup" and where.endswith("cpuset"):
                    for setting in ("cpuset.cpus", "cpuset.mems"):
                        (own / setting).write_text(Path(where, setting).read_text())
                (own / "cgroup.procs").write_text("0")


def uplink_mtu():
    """Bytes that a packet to the outside may have: hosts must not send larger ones."""
    routes = json.loads(run("ip", "-json", "route", "show", "default"))
    device = routes[0]["dev"] if routes else "lo"
    return min(1500, int(Path(f"/sys/class/net/{device}/mtu").read_text()))


# --- an inventory ----------------------------------------------------------------------------------------------


class Inventory:
    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        if not (self.folder / "hosts.yml").is_file():
            raise Refusal(f"{folder} is no inventory: it has no hosts.yml.")
        self.generated = self.folder / "machines.yml"
        self.secrets = self.folder / ".secrets"
        parts = self.folder.relative_to(REPOSITORY).parts
        self.state = CACHE / "machines" / "-".join(part for part in parts if part != "inventories")

    def variables(self):
        """Variables of each host by name, as Ansible reads them."""
        listing = run(Path(sys.executable).with_name("ansible-inventory"), "-i", self.folder, "--list", cwd=REPOSITORY)
        everything = json.loads(listing)
        names = sorted({host for group in everything.values() for host in group.get("hosts", [])})
        return {name: everything["_meta"]["hostvars"].get(name, {}) for name in names}

    def recorded_network(self):
        """The network that this inventory has, or None."""
        with contextlib.suppress(OSError, ValueError):
            return Network(int((self.state / "network").read_text()))
        return None

    def network(self):
        """The network that this inventory already has, or the first free one."""
        if network := self.recorded_network():
            return network
        for number in range(NETWORKS):
            network = Network(number)
            if network.is_free():
                self.state.mkdir(parents=True, exist_ok=True)
                draft = self.state / "network.draft"
                draft.write_text(str(number))
                draft.rename(self.state / "network")
                return network
        raise Refusal(
            "No address range is free for the hosts: set SLIPWAY_NETWORK to the first two numbers of a private "
            "range that this machine does not use, for example SLIPWAY_NETWORK=10.77."
        )

    def keep_secrets(self):
        self.secrets.mkdir(mode=0o700, exist_ok=True)
        key = self.secrets / "ssh_key"
        if not key.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "slipway", "-f", key)
        return key.with_suffix(".pub").read_text()

    def up(self):
        hosts = self.variables()
        CACHE.mkdir(exist_ok=True)
        require_room(CACHE)
        names = suites()
        wanted = {name: names[int(values.get("machine_release", 0)) % len(names)] for name, values in hosts.items()}
        with alone():
            network = self.network()
            public_key = self.keep_secrets()
            with ThreadPoolExecutor() as pool:
                images = dict(zip(built := sorted(set(wanted.values())), pool.map(image, built), strict=True))
            places = {name: Host(name, self.state / name, network, network.address(i)) for i, name in enumerate(hosts)}
            published = next((places[name].address for name in hosts if hosts[name].get("machine_published")), None)
            network.create(published)
            for name, host in places.items():
                if not host.runners():
                    say(f"Booting {name} ({wanted[name]}) at {host.address}")
                    host.stop()
                    host.mount(images[wanted[name]])
                    host.configure(public_key)
                    host.boot()
        for host in places.values():
            host.wait()
        known = "".join(f"{host.address} {' '.join(host.public_key())}\n" for host in places.values())
        (self.secrets / "known_hosts").write_text(known)
        connection = {
            "ansible_user": ADMIN,
            "ansible_ssh_private_key_file": str(self.secrets / "ssh_key"),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.secrets}/known_hosts",
        }
        reached = {name: {"ansible_host": host.address, **connection} for name, host in places.items()}
        facts = {"all": {"hosts": reached}}
        if published:
            facts["all"]["vars"] = network.ports
        self.generated.write_text("# Written by machines.py.\n" + json.dumps(facts, indent=2) + "\n")
        give_to_caller(self.generated, self.secrets, *self.secrets.iterdir())

    def booted(self):
        """The hosts that `up` wrote down."""
        if not self.generated.exists() or not (network := self.recorded_network()):
            raise Refusal(f"{self.folder} has no hosts yet: boot them first, with `machines.py up`.")
        written = json.loads(self.generated.read_text().split("\n", 1)[1])["all"]["hosts"]
        return [Host(name, self.state / name, network, values["ansible_host"]) for name, values in written.items()]

    def boot_after(self, change, hosts):
        """Do to each host what needs it to be off, and boot it again."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(change, hosts))
        hosts[0].network.unplug()
        for host in hosts:
            host.mount()
            host.boot()
        for host in hosts:
            host.wait()

    def save(self):
        self.boot_after(Host.save, self.booted())

    def restore(self):
        hosts = self.booted()
        if not all(host.saved() for host in hosts):
            raise Refusal(f"{self.folder} has no saved state: make one first, with `machines.py save`.")
        self.boot_after(Host.discard, hosts)

    def down(self):
        if self.state.exists():
            network = self.recorded_network()
            for folder in self.state.iterdir():
                if folder.is_dir():
                    Host(folder.name, folder, network or Network(0), "").remove()
            if network:
                network.remove()
            shutil.rmtree(self.state)
            say("The host, its network and its secrets are gone. `make clean` also removes images, archives and tools.")
        else:
            say("There is no host to remove.")
        self.generated.unlink(missing_ok=True)
        shutil.rmtree(self.secrets, ignore_errors=True)


def give_to_caller(*paths):
    """Files in the checkout belong to the person who typed sudo."""
    if name := os.environ.get("SUDO_USER"):
        owner = pwd.getpwnam(name)
        for path in paths:
            os.chown(path, owner.pw_uid, owner.pw_gid)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=["up", "save", "restore", "down"])
    parser.add_argument("inventory")
    arguments = parser.parse_args()
    try:
        require_controller()
        getattr(Inventory(arguments.inventory), arguments.verb)()
    except Refusal as refusal:
        sys.exit(f"{refusal}")


if __name__ == "__main__":
    main()
