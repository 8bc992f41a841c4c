import os
import shutil
import tempfile
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import inventory
import pytest
from support import MACHINES, SOAK, SOCKETS, Administrator, Secret, Site
from testinfra.host import Host

EMAIL = "testinfra@example.com"
# Prints the new password, which only the shell itself and standard input ever hold.
CREATE = (
    "password=$(head -c 24 /dev/urandom | base64) && "
    f"printf '%s\\n' \"$password\" | slipway-manage user_ensure_admin --email {EMAIL} --reset-password >/dev/null && "
    'printf %s "$password"'
)
DELETE = (
    "slipway-manage shell -c 'from django.contrib.auth import get_user_model as model; "
    f'model().objects.filter(email="{EMAIL}").delete()\''
)


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("ansible_inventory")
    if not path:
        raise pytest.UsageError("Name the hosts to test, for example --ansible-inventory=inventories/local.")
    config.stash[SOCKETS] = tempfile.mkdtemp(prefix="slipway-")
    config.stash[MACHINES] = inventory.machines(path, config.getoption("hosts") or "all", config.stash[SOCKETS])


def pytest_unconfigure(config: pytest.Config) -> None:
    if sockets := config.stash.get(SOCKETS, None):
        inventory.hang_up(sockets)
        shutil.rmtree(sockets, ignore_errors=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One object per host for the whole session, so that a fixture asks each host once."""
    if "host" in metafunc.fixturenames:
        machines = metafunc.config.stash[MACHINES]
        names = [machine.backend.host for machine in machines]
        metafunc.parametrize("host", machines, ids=names, indirect=True, scope="session")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n`, give each worker one host: tests of one host must not run side by side."""
    from xdist.scheduler import LoadScopeScheduling

    names = sorted((machine.backend.host for machine in config.stash[MACHINES]), key=len, reverse=True)

    class ByHost(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return str(next(name for name in names if f"[{name}]" in nodeid or f"[{name}-" in nodeid))

    return ByHost(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    """Keep each test to the hosts it is for, host by host, what does damage last."""
    machines = config.stash[MACHINES]
    wanted = {item: is_for(item, host_of(item)) and is_first(item, machines) for item in items}
    config.hook.pytest_deselected(items=[item for item in items if not wanted[item]])
    items[:] = sorted((item for item in items if wanted[item]), key=rank)


def host_of(item: pytest.Function) -> Host | None:
    """The host that a test asks for; one that asks for none is about all of them."""
    return item.callspec.params["host"] if "host" in item.fixturenames else None


def is_for(item: pytest.Function, host: Host | None) -> bool:
    """Whether a test is for this host, its groups and its project, and for this run."""
    if item.get_closest_marker("soak") and not SOAK:
        return False
    if host is None:
        return True
    groups = inventory.groups(host)
    if item.get_closest_marker("slipway") and inventory.variables(host)["project_name"] != "slipway":
        return False
    if "newest" in groups and item.get_closest_marker("destructive") and not on_every_system(item):
        return False
    wanted = all(groups.intersection(marker.args) for marker in item.iter_markers("group"))
    return wanted and not any(groups.intersection(marker.args) for marker in item.iter_markers("without"))


def on_every_system(item: pytest.Function) -> bool:
    return SOAK or item.get_closest_marker("system") is not None


def is_first(item: pytest.Function, machines: list[Host]) -> bool:
    """Whether this is where a test runs that one host is enough for.

    Such tests are spread over the hosts. Where the system may matter, it is the newest.
    """
    host = host_of(item)
    if host is None or SOAK or not item.get_closest_marker("once"):
        return True
    possible = [machine for machine in machines if is_for(item, machine)]
    if item.get_closest_marker("system"):
        possible = [machine for machine in possible if "newest" in inventory.groups(machine)] or possible
    return host is possible[zlib.crc32(item.originalname.encode()) % len(possible)]


def rank(item: pytest.Function) -> tuple[str, bool, bool]:
    host = host_of(item)
    if host is None:
        return "", False, False
    destructive = item.get_closest_marker("destructive") is not None
    return host.backend.host, item.path.stem == "test_resilience", destructive


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a failure explain itself with the journal of the units that the test is about."""
    report = yield
    marker = item.get_closest_marker("units")
    patterns = marker.args if marker else ()
    host: Host | None = item.funcargs.get("host")
    if report.failed and patterns and host is not None:
        named = " ".join(f"--unit='{pattern}'" for pattern in patterns)
        try:
            lines = host.run(f"journalctl --no-pager --lines=30 {named}").stdout
        except RuntimeError:
            lines = "The host does not answer."
        report.sections.append((f"journal of {', '.join(patterns)}", lines))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write down what failed: Molecule's own output goes on for long after it."""
    if path := os.environ.get("SLIPWAY_FAILED"):
        failed = [report for kind in ("failed", "error") for report in terminalreporter.stats.get(kind, [])]
        lines = [f"FAILED {report.nodeid}: {reason(report)}\n" for report in failed]
        Path(path).write_text("".join(lines))


def reason(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return " ".join(crash.message.split())[:300] if crash else ""


@pytest.fixture(scope="session")
def host(request: pytest.FixtureRequest) -> Host:
    """The host under test; commands run there as root."""
    return request.param


@pytest.fixture(scope="session")
def client(host: Host, request: pytest.FixtureRequest) -> Host:
    """The web host that uses this host's services: itself, or the first of the inventory where it is none."""
    return next(machine for machine in (host, *request.config.stash[MACHINES]) if "web" in inventory.groups(machine))


@pytest.fixture(scope="session")
def site(client: Host) -> Site:
    """The site on this host or its client, as a browser elsewhere sees it."""
    return Site.on(client)


@pytest.fixture
def frontends(host: Host, site: Site) -> list[tuple[Site, Path]]:
    """The front ends that this host serves, each as a site, with the folder of its build."""
    served = inventory.variables(host).get("project_frontends")
    if not served:
        pytest.skip("This inventory serves no front end.")
    return [(site.beside(frontend["domain"]), Path(frontend["path"])) for frontend in served]


@pytest.fixture(scope="session")
def administrator(client: Host) -> Iterator[Administrator]:
    """A person who may log in, removed at the end."""
    made = client.run(CREATE)
    assert made.rc == 0, "slipway-manage user_ensure_admin failed"
    yield Administrator(EMAIL, Secret(made.stdout))
    client.run(DELETE)
