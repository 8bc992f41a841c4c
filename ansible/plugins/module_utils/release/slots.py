"""Two slots, blue and green, and the link `current` that says which of them serves."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import time

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import systemd
from ansible_collections.slipway.host.plugins.module_utils.release.files import files_of, point, target
from ansible_collections.slipway.host.plugins.module_utils.release.model import Project
from ansible_collections.slipway.host.plugins.module_utils.release.probe import Probe

BLUE, GREEN = "blue", "green"
UNITS = "/etc/systemd/system"
CLOCKS = ("beat", "timer")


class Slots:
    """The slots of one project on this host, each a folder with links to a release and its environment."""

    def __init__(self, project: Project) -> None:
        self.name, self.root, self.run_folder = project.name, project.root, project.run_folder
        self.processes, self.kinds, self.watch_seconds = project.processes, project.kinds, project.watch_seconds
        self.has_web = "web" in project.processes
        self.current = os.path.join(self.root, "current")
        self.boot = f"{self.name}.service"

    def path(self, slot: str, *parts: str) -> str:
        return os.path.join(self.root, "slots", slot, *parts)

    def socket(self, slot: str) -> str:
        return f"{self.run_folder}/{slot}.sock"

    def serving(self) -> str | None:
        """The slot that `current` leads to, or None."""
        return target(self.current)

    def idle(self) -> str:
        """The slot that does not serve."""
        return GREEN if self.serving() == BLUE else BLUE

    def release(self, slot: str | None) -> str | None:
        """The name of the slot's release, or None."""
        return target(self.path(slot, "release")) if slot else None

    def environment(self, slot: str | None) -> str | None:
        """The name of the slot's environment file, or None."""
        return target(self.path(slot, "environment")) if slot else None

    def serving_release(self) -> str | None:
        """The name of the release that serves, or None."""
        return self.release(self.serving())

    # --- units

    def unit(self, process: str, slot: str) -> str:
        """What is started of a process: its service, or the timer that does so."""
        return self.timer(process, slot) if self.is_timer(process) else self.service(process, slot)

    def service(self, process: str, slot: str) -> str:
        return f"{self.name}-{process}@{slot}.service"

    def timer(self, process: str, slot: str) -> str:
        return f"{self.name}-{process}@{slot}.timer"

    def is_timer(self, process: str) -> bool:
        return self.kinds.get(process) == "timer"

    def web_socket(self, slot: str) -> str:
        return f"{self.name}-web@{slot}.socket"

    def step_unit(self, slot: str) -> str:
        """The unit in which the slot's release takes a step."""
        return self.service("release", slot)

    @property
    def command_unit(self) -> str:
        """The unit in which a command of the project runs; no name of a project has an underscore."""
        return f"{self.name}_command.service"

    def services(self, slot: str) -> list[str]:
        """Units of the processes that run all the time."""
        return [self.service(process, slot) for process in self.processes if not self.is_timer(process)]

    def timed(self, slot: str) -> list[str]:
        """Units that a timer starts."""
        return [self.service(process, slot) for process in self.processes if self.is_timer(process)]

    def clocks(self, slot: str) -> list[str]:
        """Units that begin work at set times. They run in one slot only, or everything would begin twice."""
        return [self.unit(process, slot) for process in self.processes if self.kinds.get(process) in CLOCKS]

    def units(self, slot: str) -> list[str]:
        """Units of a slot, in the order in which they start."""
        units = [self.unit(process, slot) for process in self.processes]
        return [self.web_socket(slot), *units] if self.has_web else units

    def all_units(self, slot: str) -> list[str]:
        """All units that could run in a slot, whatever belongs on this host today."""
        services = [self.service(process, slot) for process in (*self.kinds, "release")]
        timers = [self.timer(process, slot) for process in filter(self.is_timer, self.kinds)]
        return [*([self.web_socket(slot)] if "web" in self.kinds else []), *timers, *services]

    def missing(self) -> list[str]:
        """Processes that should run here and whose unit is not on the host."""
        return [name for name in self.processes if not os.path.exists(f"{UNITS}/{self.unit(name, '')}")]

    def is_provisioned(self) -> bool:
        return os.path.exists(f"{UNITS}/{self.step_unit('')}")

    def definitions(self) -> str:
        """A fingerprint of what decides how a release runs: the definitions of its units."""
        digest = hashlib.sha256()
        # Another project's name may begin with this one's. What an operator adds to the units counts too.
        units = [f"{UNITS}/{self.name}-{process}@" for process in (*self.kinds, "release")]
        paths = [path for unit in units for end in (".*", "*.d/*.conf") for path in glob.glob(unit + end)]
        for path in sorted(paths):
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    digest.update(file.read())
        return digest.hexdigest()

    def runs(self, slot: str, release: str, environment: str) -> bool:
        """Whether the slot was started with exactly this."""
        started = None
        with contextlib.suppress(OSError), open(self.path(slot, "definitions")) as file:
            started = file.read()
        return (self.release(slot), self.environment(slot), started) == (release, environment, self.definitions())

    def is_gone(self, slot: str) -> bool:
        """Whether nothing of the slot runs."""
        return systemd.are_gone(self.all_units(slot))

    def is_settled(self, slot: str) -> bool:
        """Whether the serving slot runs all that it should and no more, the other one nothing, and a boot would do the
        same."""
        wanted = self.units(slot)
        welcome = [*wanted, *self.timed(slot)]
        others = [unit for unit in self.all_units(slot) + self.all_units(self.idle()) if unit not in welcome]
        return (
            all(self.is_steady(state) for state in systemd.states(wanted).values())
            and systemd.are_gone(others)
            and systemd.systemctl("is-enabled", "--quiet", self.boot).returncode == 0
        )

    def is_steady(self, state: systemd.State) -> bool:
        """Whether a unit runs, and does not end again and again."""
        return state.active == "active" and (not state.restarts or state.seconds >= self.watch_seconds)

    def stop(self, slot: str) -> None:
        """Stop all that runs in a slot."""
        systemd.stop(self.all_units(slot))

    # --- from one release to the next

    def prepare(self, slot: str, release: str, environment: str, frontends: str) -> None:
        """Empty a slot and point it at a release, an environment file and a folder of front ends."""
        self.stop(slot)
        os.makedirs(self.path(slot), mode=0o755, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(slot, "definitions"))
        point(self.path(slot, "release"), os.path.join(self.root, "releases", release))
        point(self.path(slot, "environment"), environment)
        point(self.path(slot, "files"), files_of(environment))
        point(self.path(slot, "frontends"), frontends)
        point(self.path(slot, "web.sock"), self.socket(slot))
        systemd.systemctl("daemon-reload")

    def open(self, slot: str, probe: Probe) -> None:
        """Start the slot's web processes beside the others, and wait until they are ready."""
        # What is started is what the fingerprint is of, also where units were rendered since.
        systemd.systemctl("daemon-reload")
        with open(self.path(slot, "definitions"), "w") as file:
            file.write(self.definitions())
        self.require_ready(slot, probe)

    def require_ready(self, slot: str, probe: Probe) -> None:
        """Start the slot's web processes unless they run, and wait until they are ready."""
        if self.has_web:
            systemd.start(self.web_socket(slot))
            systemd.start(self.unit("web", slot))
            probe.await_readiness(self, slot)

    def switch(self, slot: str, probe: Probe, grace_seconds: int) -> None:
        """Give the slot all traffic, start the rest of it and watch it for the time of grace; or go back."""
        old = self.serving()
        point(self.current, f"slots/{slot}")
        try:
            self.complete(slot, probe, grace_seconds)
        except UserError:
            self.abandon(slot, old)
            raise

    def complete(self, slot: str, probe: Probe, grace_seconds: int) -> None:
        """Start what of the serving slot does not run yet, now and after a boot, and watch it all for a while."""
        if (done := systemd.systemctl("enable", self.boot)).returncode:
            raise UserError(f"{self.boot}, which starts the release at boot, cannot be enabled: {done.stderr.strip()}")
        clocks = self.clocks(slot)
        others = [unit for unit in self.units(slot) if unit not in clocks]
        for unit in others:
            self.require_active(unit)
        systemd.stop(self.clocks(self.idle()))
        for unit in clocks:
            self.require_active(unit)
        probe.watch(self, slot, grace_seconds)

    @staticmethod
    def require_active(unit: str) -> None:
        if not systemd.is_active(unit):
            systemd.start(unit)

    def abandon(self, slot: str, old: str | None) -> None:
        """Give the traffic back to the slot `old`, which still runs, or to nobody."""
        if old and old != slot:
            point(self.current, f"slots/{old}")
            # Whoever already waits for it may be answered once systemd has started it again.
            self.drain(slot, seconds=30)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.current)
        self.stop(slot)
        if old and old != slot and (clocks := self.clocks(old)):
            systemd.systemctl("start", *clocks)

    def retire(self, slot: str, drain_seconds: int) -> None:
        """Stop a slot once nobody waits for it. Its workers first end the tasks that they have begun."""
        if systemd.is_active(self.unit("web", slot)):
            self.drain(slot, drain_seconds)
        self.stop(slot)

    def drain(self, slot: str, seconds: int) -> None:
        """Wait until nobody stands in the queue of a slot's socket: closing it would cut them off."""
        path = self.socket(slot)
        deadline = time.monotonic() + seconds
        empty = 0
        while empty < 4 and time.monotonic() < deadline:
            rows = systemd.run("ss", "-xlnH", "src", f"unix:{path}").stdout.splitlines()
            queued = [row.split()[2] for row in rows if path in row]
            empty = empty + 1 if all(count == "0" for count in queued) else 0
            time.sleep(0.05)
