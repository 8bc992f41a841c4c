import os
import shutil
import tempfile
from pathlib import Path

import inventory
import pytest
from support import Administrator, Secret, Site
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


def pytest_configure(config):
    path = config.getoption("ansible_inventory")
    if not path:
        raise pytest.UsageError("Name the hosts to test, for example --ansible-inventory=inventories/local.")
    config.sockets = tempfile.mkdtemp(prefix="slipway-")
    config.machines = inventory.machines(path, config.getoption("hosts") or "all", config.sockets)


def pytest_unconfigure(config):
    if sockets := getattr(config, "sockets", None):
        inventory.hang_up(sockets)
        shutil.rmtree(sockets, ignore_errors=True)


def pytest_generate_tests(metafunc):
    """One object per host for the whole session, so that a fixture asks each host once."""
    if "host" in metafunc.fixturenames:
        names = [machine.backend.host for machine in metafunc.config.machines]
        metafunc.parametrize("host", metafunc.config.machines, ids=names, indirect=True, scope="session")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `-n`, give each worker one host: tests of one host must not run side by side."""
    from xdist.scheduler import LoadScopeScheduling

    names = sorted((machine.backend.host for machine in config.machines), key=len, reverse=True)

    class ByHost(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return next(name for name in names if f"[{name}]" in nodeid or f"[{name}-" in nodeid)

    return ByHost(config, log)


def pytest_collection_modifyitems(config, items):
    """Keep each test to the hosts it is for, host by host, what does damage last."""
    kept, dropped = [], []
    for item in items:
        # A test that names no host is about all of them.
        wanted = "host" not in item.fixturenames or is_for(item, item.callspec.params["host"])
        (kept if wanted else dropped).append(item)
    kept.sort(key=rank)
    config.hook.pytest_deselected(items=dropped)
    items[:] = kept


def is_for(item, host):
    """Whether a test is for this host: its groups, and its project."""
    groups = inventory.groups(host)
    if item.get_closest_marker("slipway") and inventory.variables(host)["project_name"] != "slipway":
        return False
    wanted = all(groups.intersection(marker.args) for marker in item.iter_markers("group"))
    return wanted and not any(groups.intersection(marker.args) for marker in item.iter_markers("without"))


def rank(item):
    if "host" not in item.fixturenames:
        return "", False, False
    destructive = item.get_closest_marker("destructive") is not None
    return item.callspec.params["host"].backend.host, item.path.stem == "test_resilience", destructive


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Let a failure explain itself with the journal of the units that the test is about."""
    report = yield
    marker = item.get_closest_marker("units")
    patterns = marker.args if marker else ()
    if report.failed and patterns and "host" in item.funcargs:
        named = " ".join(f"--unit='{pattern}'" for pattern in patterns)
        try:
            lines = item.funcargs["host"].run(f"journalctl --no-pager --lines=30 {named}").stdout
        except RuntimeError:
            lines = "The host does not answer."
        report.sections.append((f"journal of {', '.join(patterns)}", lines))
    return report


def pytest_terminal_summary(terminalreporter):
    """Write down what failed: Molecule's own output goes on for long after it."""
    if path := os.environ.get("SLIPWAY_FAILED"):
        failed = [report for kind in ("failed", "error") for report in terminalreporter.stats.get(kind, [])]
        lines = [f"FAILED {report.nodeid}: {reason(report)}\n" for report in failed]
        Path(path).write_text("".join(lines))


def reason(report):
    crash = getattr(report.longrepr, "reprcrash", None)
    return " ".join(crash.message.split())[:300] if crash else ""


@pytest.fixture(scope="session")
def host(request):
    """The host under test; commands run there as root."""
    return request.param


@pytest.fixture(scope="session")
def client(host, request):
    """The web host that uses this host's services: itself, or the first of the inventory where it is none."""
    return next(machine for machine in (host, *request.config.machines) if "web" in inventory.groups(machine))


@pytest.fixture(scope="session")
def site(client):
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
def administrator(client):
    """A person who may log in, removed at the end."""
    made = client.run(CREATE)
    assert made.rc == 0, "slipway-manage user_ensure_admin failed"
    yield Administrator(EMAIL, Secret(made.stdout))
    client.run(DELETE)
