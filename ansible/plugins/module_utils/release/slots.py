"""Two slots, blue and green, and the link `current` that says which of them serves."""

import contextlib
import glob
import hashlib
import http.client
import os
import socket
import subprocess
import time

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

SLOTS = ("blue", "green")
PROBE_ID = "release-probe"
READY_ANSWERS = 3
# Failures in a row before a release that serves counts as unhealthy.
UNHEALTHY_ANSWERS = 2


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def systemctl(*arguments):
    return run("systemctl", *arguments)


def properties(unit, *names):
    """Properties of a unit by name."""
    answer = systemctl("show", unit, f"--property={','.join(names)}").stdout
    return dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)


def journal(unit, since=None):
    """The last lines that the unit's latest process wrote, or all of them since a moment, without what they wrote about
    our own questions."""
    invocation = properties(unit, "InvocationID").get("InvocationID")
    which = [f"_SYSTEMD_INVOCATION_ID={invocation}"] if invocation else [f"--unit={unit}"]
    if since:
        which = [f"_SYSTEMD_UNIT={unit}", f"--since=@{int(since)}"]
    lines = run("journalctl", *which, "--lines=200", "--no-pager", "--output=cat").stdout.splitlines()
    return [line for line in lines if PROBE_ID not in line][-25:]


def point(link, target):
    """Make `link` lead to `target` in one step."""
    draft = f"{link}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft)
    os.symlink(target, draft)
    os.replace(draft, link)


def target(link):
    """The last part of what a link leads to, or None."""
    with contextlib.suppress(OSError):
        return os.path.basename(os.readlink(link))
    return None


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Slots:
    """The slots of one project on this host, each a folder with links to a release and its environment."""

    def __init__(self, name, root, processes, known_processes):
        self.name, self.root, self.processes, self.known_processes = name, root, processes, known_processes
        self.current = os.path.join(root, "current")
        self.boot = f"{name}.service"

    def path(self, slot, *parts):
        return os.path.join(self.root, "slots", slot, *parts)

    def socket(self, slot):
        return f"/run/{self.name}/{slot}.sock"

    def serving(self):
        """The slot that `current` leads to, or None."""
        return target(self.current)

    def idle(self):
        """The slot that does not serve."""
        return SLOTS[self.serving() == SLOTS[0]]

    def release(self, slot):
        """The name of the slot's release, or None."""
        return slot and target(self.path(slot, "release"))

    def environment(self, slot):
        """The name of the slot's environment file, or None."""
        return slot and target(self.path(slot, "environment"))

    # --- units

    def units(self, slot):
        """Units of a slot, in the order in which they start."""
        names = [f"{self.name}-{process}@{slot}.service" for process in self.processes]
        return [f"{self.name}-web@{slot}.socket"] * ("web" in self.processes) + names

    def step(self, slot):
        """The unit in which the slot's release takes a step."""
        return f"{self.name}-release@{slot}.service"

    def known(self, slot):
        """All units that could run in a slot, whatever belongs on this host today."""
        names = [f"{self.name}-{process}@{slot}.service" for process in self.known_processes]
        return [f"{self.name}-web@{slot}.socket"] * ("web" in self.known_processes) + names + [self.step(slot)]

    def unknown(self):
        """Processes that should run here and whose unit is not on the host."""
        template = f"/etc/systemd/system/{self.name}-{{}}@.service"
        return [process for process in self.processes if not os.path.exists(template.format(process))]

    def definitions(self):
        """A fingerprint of what decides how a release runs: the definitions of its units."""
        digest = hashlib.sha256()
        # Another project's name may begin with this one's. What an operator adds to the units counts too.
        units = [f"/etc/systemd/system/{self.name}-{process}@" for process in (*self.known_processes, "release")]
        paths = [path for unit in units for end in (".*", "*.d/*.conf") for path in glob.glob(unit + end)]
        for path in sorted(paths):
            if os.path.isfile(path):
                with open(path, "rb") as unit:
                    digest.update(unit.read())
        return digest.hexdigest()

    def states(self, units):
        """ActiveState and number of restarts of each unit."""
        if not units:
            return {}
        answer = systemctl("show", *units, "--property=ActiveState,NRestarts").stdout
        found = [dict(line.split("=", 1) for line in part.splitlines()) for part in answer.strip().split("\n\n")]
        return {
            unit: (state.get("ActiveState"), state.get("NRestarts", "0"))
            for unit, state in zip(units, found, strict=True)
        }

    def is_active(self, unit):
        return systemctl("is-active", "--quiet", unit).returncode == 0

    def runs(self, slot, release, environment):
        """Whether the slot was started with exactly this."""
        started = None
        with contextlib.suppress(OSError), open(self.path(slot, "definitions")) as file:
            started = file.read()
        return (self.release(slot), self.environment(slot), started) == (release, environment, self.definitions())

    def are_gone(self, units):
        return all(state in ("inactive", "failed") for state, _ in self.states(units).values())

    def is_gone(self, slot):
        """Whether nothing of the slot runs."""
        return self.are_gone(self.known(slot))

    def is_settled(self):
        """Whether the serving slot runs all that it should and no more, the other one nothing, and a boot would do the
        same."""
        slot = self.serving()
        wanted = self.units(slot)
        others = [unit for unit in self.known(slot) + self.known(self.idle()) if unit not in wanted]
        return (
            all(state == "active" for state, _ in self.states(wanted).values())
            and self.are_gone(others)
            and systemctl("is-enabled", "--quiet", self.boot).returncode == 0
        )

    def start(self, unit):
        systemctl("reset-failed", unit)
        if systemctl("start", unit).returncode:
            raise UserError(f"{unit} failed to start.", journal(unit))

    def stop(self, units):
        """Stop units, sockets before services so that nothing starts them again, and forget their failures."""
        for part in ([unit for unit in units if unit.endswith(".socket")], units):
            if part:
                systemctl("stop", *part)
        systemctl("reset-failed", *units)

    # --- from one release to the next

    def prepare(self, slot, release, environment):
        """Empty a slot and point it at a release and an environment file."""
        self.stop(self.known(slot))
        os.makedirs(self.path(slot), mode=0o755, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(slot, "definitions"))
        point(self.path(slot, "release"), os.path.join(self.root, "releases", release))
        point(self.path(slot, "environment"), environment)
        point(self.path(slot, "web.sock"), self.socket(slot))
        systemctl("daemon-reload")

    def open(self, slot, probe):
        """Start the slot's web processes beside the others, and wait until they are ready."""
        # What is started is what the fingerprint is of, also where units were rendered since.
        systemctl("daemon-reload")
        with open(self.path(slot, "definitions"), "w") as file:
            file.write(self.definitions())
        self.require_ready(slot, probe)

    def require_ready(self, slot, probe):
        """Start the slot's web processes unless they run, and wait until they are ready."""
        if "web" in self.processes:
            self.start(f"{self.name}-web@{slot}.socket")
            self.start(f"{self.name}-web@{slot}.service")
            probe.await_readiness(self, slot)

    def switch(self, slot, probe):
        """Give the slot all traffic, start the rest of it and watch it for the time of grace; or go back."""
        old = self.serving()
        point(self.current, f"slots/{slot}")
        try:
            self.complete(slot, probe)
        except UserError:
            self.abandon(slot, old)
            raise

    def complete(self, slot, probe):
        """Start what of the serving slot does not run yet, now and after a boot, and watch it all for a while."""
        systemctl("enable", self.boot)
        for unit in self.units(slot):
            if not self.is_active(unit):
                self.start(unit)
        probe.watch(self, slot)

    def abandon(self, slot, old):
        """Give the traffic back to the slot `old`, which still runs, or to nobody."""
        if old and old != slot:
            point(self.current, f"slots/{old}")
            # Whoever already waits for it may be answered once systemd has started it again.
            self.drain(slot, seconds=30)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.current)
        self.stop(self.known(slot))

    def retire(self, slot, drain_seconds):
        """Stop a slot once nobody waits for it. Its workers first end the tasks that they have begun."""
        if self.is_active(f"{self.name}-web@{slot}.service"):
            self.drain(slot, drain_seconds)
        self.stop(self.known(slot))

    def drain(self, slot, seconds):
        """Wait until nobody stands in the queue of a slot's socket: closing it would cut them off."""
        path = self.socket(slot)
        deadline = time.monotonic() + seconds
        empty = 0
        while empty < 4 and time.monotonic() < deadline:
            rows = run("ss", "-xlnH", "src", f"unix:{path}").stdout.splitlines()
            queued = [row.split()[2] for row in rows if path in row]
            empty = empty + 1 if all(count == "0" for count in queued) else 0
            time.sleep(0.05)


class Probe:
    """Questions about a slot's health, asked as the proxy will ask them, through the slot's own socket."""

    def __init__(self, host, path, timeout_seconds, grace_seconds):
        self.host, self.path = host, path
        self.timeout_seconds, self.grace_seconds = timeout_seconds, grace_seconds

    def ask(self, slots, slot):
        """ "200", or what came instead. Without a path, "200" stands for any answer that is no error of the server."""
        connection = UnixConnection(slots.path(slot, "web.sock"), timeout=5)
        try:
            headers = {"Host": self.host, "X-Forwarded-Proto": "https", "X-Request-ID": PROBE_ID}
            connection.request("GET", self.path or "/", headers=headers)
            answer = connection.getresponse()
            body = answer.read(300).decode(errors="replace")
            good = answer.status == 200 or (not self.path and answer.status < 500)
            return "200" if good else f"{answer.status} {body}"
        except (OSError, http.client.HTTPException) as problem:
            return str(problem) or type(problem).__name__
        finally:
            connection.close()

    def await_readiness(self, slots, slot):
        """Wait for some good answers in a row."""
        unit = f"{slots.name}-web@{slot}.service"
        deadline = time.monotonic() + self.timeout_seconds
        since = time.time() - 5
        _, restarts = slots.states([unit])[unit]
        good, last = 0, "no answer"
        while good < READY_ANSWERS:
            # One that ended has been started again, and what it said is its predecessor's.
            if time.monotonic() > deadline or slots.states([unit])[unit] != ("active", restarts):
                raise UserError(
                    f"It was not ready within {self.timeout_seconds} s at {self.path or '/'}: {last}.",
                    journal(unit, since),
                )
            last = self.ask(slots, slot)
            good = good + 1 if last == "200" else 0
            if not good:
                time.sleep(0.3)

    def watch(self, slots, slot):
        """Refuse a slot that does not stay healthy for the time of grace."""
        units = slots.units(slot)
        before = {unit: ("active", restarts) for unit, (_, restarts) in slots.states(units).items()}
        deadline = time.monotonic() + self.grace_seconds
        bad = 0
        while True:
            changed = [unit for unit, state in slots.states(units).items() if state != before[unit]]
            if changed:
                raise UserError(f"{changed[0]} ended soon after the switch.", journal(changed[0]))
            answer = self.ask(slots, slot) if "web" in slots.processes else "200"
            bad = 0 if answer == "200" else bad + 1
            if bad == UNHEALTHY_ANSWERS:
                unit = f"{slots.name}-web@{slot}.service"
                raise UserError(f"It became unhealthy after the switch: {answer}.", journal(unit))
            if time.monotonic() > deadline:
                return
            time.sleep(0.25)
