"""Whatever is killed comes back without help, and the whole service with it."""

from collections.abc import Callable

import inventory
import pytest
from support import SOCKETS, Administrator, Site, eventually, executed, main_pid, processes, query, slot
from testinfra.host import Host

pytestmark = [
    pytest.mark.destructive,
    pytest.mark.system,
    pytest.mark.units("slipway-*", "nginx", "postgresql@*", "rabbitmq-server"),
]
web = pytest.mark.group("web")
database = pytest.mark.group("database")
broker = pytest.mark.group("broker")


@pytest.fixture
def works(client: Host, site: Site, administrator: Administrator) -> Callable[[], bool]:
    """A question that is true once a person can log in and the worker executes the task that this sends."""

    def ask() -> bool:
        answer = site.login(administrator)
        return answer.status == 200 and eventually(lambda: executed(client, answer.request_id), seconds=4)

    def patiently() -> bool:
        try:
            return ask()
        except AssertionError:
            return False

    return patiently


def replaced(host: Host, unit: str, old: int) -> bool:
    """Whether another main process than `old` runs the unit."""
    return main_pid(host, unit) not in (0, old) and host.run(f"systemctl is-active {unit}").rc == 0


def kill(host: Host, unit: str) -> None:
    """Kill the unit's main process, and wait for the next one."""
    old = main_pid(host, unit)
    assert old
    host.check_output(f"kill -KILL {old}")
    eventually(lambda: replaced(host, unit, old), seconds=30)


def ticks(host: Host) -> int:
    """How often beat has sent its periodic task."""
    sql = "SELECT total_run_count FROM django_celery_beat_periodictask WHERE name = 'sessions-clear-expired'"
    return int(query(host, sql)["rows"][0][0])


def test_the_service_works_before_anything_is_killed(works: Callable[[], bool]) -> None:
    assert eventually(works, seconds=30, pause=2)


@web
def test_a_killed_web_server_comes_back(host: Host, works: Callable[[], bool]) -> None:
    kill(host, f"slipway-web@{slot(host)}.service")
    assert eventually(works, seconds=30, pause=2)


@web
def test_a_killed_web_worker_is_replaced(host: Host, works: Callable[[], bool]) -> None:
    unit = f"slipway-web@{slot(host)}.service"
    main = main_pid(host, unit)
    before = set(host.check_output(f"pgrep --parent {main}").split())
    victim = min(before, key=int)
    host.check_output(f"kill -KILL {victim}")

    def complete() -> bool:
        now = set(host.check_output(f"pgrep --parent {main}").split())
        return victim not in now and len(now) == len(before)

    eventually(complete, seconds=30)
    assert main_pid(host, unit) == main
    assert eventually(works, seconds=30, pause=2)


@web
def test_a_killed_task_worker_comes_back(host: Host, works: Callable[[], bool]) -> None:
    kill(host, f"slipway-worker@{slot(host)}.service")
    assert eventually(works, seconds=60, pause=2)


@web
def test_a_task_worker_that_is_killed_with_all_its_children_comes_back(host: Host, works: Callable[[], bool]) -> None:
    unit = f"slipway-worker@{slot(host)}.service"
    old = main_pid(host, unit)
    host.check_output(f"systemctl kill --signal=KILL {unit}")
    eventually(lambda: replaced(host, unit, old), seconds=30)
    assert eventually(works, seconds=60, pause=2)


@web
def test_a_killed_scheduler_comes_back_and_goes_on(host: Host) -> None:
    kill(host, f"slipway-beat@{slot(host)}.service")
    before = ticks(host)
    assert eventually(lambda: ticks(host) > before, seconds=60, pause=1)


@database
def test_a_killed_database_comes_back(host: Host, client: Host, site: Site, works: Callable[[], bool]) -> None:
    unit = host.check_output("systemctl list-units --plain --no-legend 'postgresql@*' | cut -d' ' -f1")
    kill(host, unit)
    eventually(lambda: site.get("/health/ready/").status == 200, seconds=60)
    assert eventually(works, seconds=60, pause=2)
    before = ticks(client)
    assert eventually(lambda: ticks(client) > before, seconds=60, pause=1)


@broker
def test_a_killed_broker_comes_back(host: Host, client: Host, works: Callable[[], bool]) -> None:
    kill(host, "rabbitmq-server.service")
    assert eventually(works, seconds=60, pause=2)
    before = ticks(client)
    assert eventually(lambda: ticks(client) > before, seconds=60, pause=1)


@web
def test_a_killed_proxy_comes_back(host: Host, works: Callable[[], bool]) -> None:
    kill(host, "nginx.service")
    assert eventually(works, seconds=30, pause=2)


def boot(host: Host) -> str:
    return str(host.check_output("cat /proc/sys/kernel/random/boot_id"))


@pytest.fixture(scope="module")
def rebooted(host: Host, request: pytest.FixtureRequest) -> Host:
    """The host, after a reboot that nobody helped with."""
    before = boot(host)
    host.run("systemd-run --quiet --on-active=1 systemctl reboot")
    inventory.hang_up(request.config.stash[SOCKETS])
    eventually(lambda: boot(host) != before, seconds=90, pause=2)
    return host


def test_a_reboot_ends_with_everything_running(rebooted: Host) -> None:
    """No unit failed, and none is still starting."""
    state = rebooted.run("timeout 90 systemctl is-system-running --wait").stdout.strip()
    failed = rebooted.run("systemctl list-units --failed --plain --no-legend").stdout
    assert (state, failed) == ("running", "")


def test_a_reboot_ends_with_a_working_service(rebooted: Host, works: Callable[[], bool]) -> None:
    assert eventually(works, seconds=60, pause=2)


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param("nginx.service", marks=web),
        pytest.param("postgresql@*.service", marks=database),
        pytest.param("rabbitmq-server.service", marks=broker),
        "nftables.service",
    ],
)
def test_a_reboot_brings_back(rebooted: Host, unit: str) -> None:
    assert rebooted.check_output(f"systemctl is-active '{unit}'") == "active"


@web
def test_a_reboot_brings_back_the_processes_of_one_slot(rebooted: Host) -> None:
    running = "systemctl list-units --plain --no-legend --state=active 'slipway-*.service' | cut -d' ' -f1"
    expected = {f"slipway-{name}@{slot(rebooted)}.service" for name in processes(rebooted)}
    assert set(rebooted.check_output(running).split()) == expected


def test_a_reboot_keeps_the_journal_of_the_last_boot(rebooted: Host) -> None:
    assert rebooted.run("journalctl --boot=-1 --lines=1 --quiet").stdout.strip()


@pytest.mark.usefixtures("rebooted")
def test_after_a_reboot_the_scheduler_goes_on(client: Host) -> None:
    before = eventually(lambda: ticks(client), seconds=60)
    assert eventually(lambda: ticks(client) > before, seconds=60, pause=1)
