import json
import re
import subprocess
from pathlib import Path

import pytest
from support import MACHINES, Administrator, Answer, Secret, Site, events, eventually, executed, main_pid, query, slot
from testinfra.host import Host

pytestmark = [pytest.mark.slipway, pytest.mark.group("web", "worker", "beat"), pytest.mark.units("slipway-*")]

web = pytest.mark.group("web")
worker = pytest.mark.group("worker")
beat = pytest.mark.group("beat")
PROCESSES = [pytest.param(name, marks=pytest.mark.group(name)) for name in ("web", "worker", "beat")]
CURRENT = "/srv/slipway/current"
DATA = "/srv/slipway/data"
# Starts a command with the user, the folder and the environment of the release that serves.
START = (
    f"release=$(readlink -f {CURRENT}/release) && systemd-run --quiet --collect --unit={{unit}} "
    f"--property=User=slipway --property=WorkingDirectory=$release "
    f"--property=EnvironmentFile=$(readlink -f {CURRENT}/environment) --property=EnvironmentFile=$release/.complete "
    "--setenv=PATH=$release/.venv/bin:/usr/bin:/bin sh -c 'exec {command}'"
)


# --- the API, as a client sees it ----------------------------------------------------------------------------------


@web
@pytest.mark.parametrize("path", ["/health/live/", "/health/ready/"])
def test_the_api_answers_over_https(site: Site, path: str) -> None:
    answer = site.get(path)
    assert answer.status == 200
    assert answer.json["status"] == "ok"


@web
def test_the_api_runs_the_release_of_a_commit(host: Host, site: Site) -> None:
    """The name of the release is the beginning of a commit that this checkout knows."""
    release = site.get("/health/ready/").json["release"]
    assert release == host.check_output(f"basename $(readlink --canonicalize {CURRENT}/release)")
    # What was not committed follows a hyphen.
    commit, _, _ = release.partition("-")
    command = ["git", "-c", "safe.directory=*", "-C", Path(__file__).parent, "cat-file", "-t", commit]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == "commit\n"


@web
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/auth/me/", 401),
        ("GET", "/api/users/", 401),
        ("GET", "/api/auth/login/", 405),
        ("GET", "/api/no-such-thing/", 404),
        ("GET", "/", 302),
        ("GET", "/admin/", 302),
        ("GET", "/admin/login/", 200),
    ],
)
def test_a_stranger_gets(site: Site, method: str, path: str, status: int) -> None:
    assert site.ask(method, path).status == status


@web
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Cache-Control", "no-store"),
    ],
)
def test_an_answer_carries(site: Site, header: str, value: str) -> None:
    assert site.get("/api/auth/me/").headers.get_all(header) == [value]


@pytest.fixture(scope="module")
def login(site: Site, administrator: Administrator) -> Answer:
    """The answer to one login, after which the session is open."""
    answer = eventually(lambda: (found := site.login(administrator)).status != 429 and found, seconds=20)
    assert answer.status == 200
    return answer


@web
@pytest.mark.destructive
def test_a_wrong_password_is_refused(site: Site, administrator: Administrator) -> None:
    answer = site.login(Administrator(administrator.email, Secret("wrong")))
    assert answer.status == 401
    assert answer.headers["Set-Cookie"] is None


@web
@pytest.mark.destructive
def test_a_login_sets_a_cookie_that_scripts_and_other_sites_cannot_use(login: Answer) -> None:
    value, *attributes = login.headers["Set-Cookie"].split("; ")
    assert value.startswith("sessionid=")
    assert {"HttpOnly", "Secure", "Path=/"} <= set(attributes)
    assert not any(attribute.startswith("Domain") for attribute in attributes)


@web
@pytest.mark.destructive
def test_the_cookie_says_who_one_is(site: Site, login: Answer, administrator: Administrator) -> None:
    answer = site.get("/api/auth/me/", cookie=login.session_cookie)
    assert (answer.status, answer.json["email"], answer.json["is_admin"]) == (200, administrator.email, True)


@web
@pytest.mark.destructive
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("email=testinfra@example.com", True),
        ("email=TESTINFRA@example.com&is_admin=true", True),
        ("email=testinfra@example.com&is_admin=false", False),
        ("email=nobody@example.com", False),
        ("id={id}", True),
        ("id=0", False),
    ],
)
def test_the_list_of_users_filters(site: Site, login: Answer, filters: str, found: bool) -> None:
    mine = site.get("/api/auth/me/", cookie=login.session_cookie).json
    answer = site.get(f"/api/users/?{filters.format(**mine)}", cookie=login.session_cookie)
    expected = [{name: mine[name] for name in ("id", "email", "is_admin")}] if found else []
    assert answer.json["results"] == expected


@web
@pytest.mark.destructive
@pytest.mark.parametrize(("page", "shown"), [("limit=1", 1), ("limit=1&offset=1000000", 0)])
def test_the_list_of_users_is_given_in_pages(site: Site, login: Answer, page: str, shown: int) -> None:
    answer = site.get(f"/api/users/?{page}", cookie=login.session_cookie)
    assert len(answer.json["results"]) == shown
    assert answer.json["count"] >= 1


@web
@pytest.mark.destructive
def test_a_wrong_filter_is_named(site: Site, login: Answer) -> None:
    answer = site.get("/api/users/?is_admin=perhaps", cookie=login.session_cookie)
    assert answer.status == 400
    assert list(answer.json["extra"]["fields"]) == ["is_admin"]


@web
@pytest.mark.destructive
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_logout_ends_the_session_on_the_server(site: Site, administrator: Administrator, method: str) -> None:
    opened = eventually(lambda: (found := site.login(administrator)).status == 200 and found, seconds=20)
    own = {"Origin": site.origin}
    assert site.ask(method, "/api/auth/logout/", cookie=opened.session_cookie, headers=own).status == 200
    assert site.get("/api/auth/me/", cookie=opened.session_cookie).status == 401


# --- tasks ---------------------------------------------------------------------------------------------------------


@web
@worker
@pytest.mark.destructive
def test_a_task_that_the_api_sends_is_executed_by_the_worker(host: Host, login: Answer) -> None:
    """It leaves a row that only the worker writes."""
    assert eventually(lambda: executed(host, login.request_id), seconds=15)


@web
@worker
@pytest.mark.destructive
def test_the_proxy_the_api_and_the_worker_log_the_same_request_id(pytestconfig: pytest.Config, login: Answer) -> None:
    """Each on its own host, where there are several: any worker may take the task."""
    expected = {"nginx", "slipway-web", "slipway-worker"}

    def units() -> bool:
        found = [event for machine in pytestconfig.stash[MACHINES] for event in events(machine, login.request_id)]
        return expected <= {event["unit"].split("@")[0].removesuffix(".service") for event in found}

    assert eventually(units, seconds=15)


@worker
@pytest.mark.destructive
@pytest.mark.parametrize(("role", "ready"), [("worker", "celery@.* ready"), ("beat", "beat: Starting")])
def test_the_commands_of_the_documentation_start(host: Host, role: str, ready: str) -> None:
    """As app/README.md has them, beside the units."""
    readme = Path(__file__).parents[2] / "app/README.md"
    (command,) = re.findall(rf"^celery -A \S+ {role} .*$", readme.read_text(), re.MULTILINE)
    unit = f"documented-{role}"
    host.check_output(START.format(unit=unit, command=command))
    try:
        eventually(lambda: host.run(f"journalctl --unit={unit} --grep='{ready}'").rc == 0, seconds=30)
    finally:
        host.run(f"systemctl stop {unit}")


@beat
def test_beat_runs_its_periodic_task(host: Host) -> None:
    """Its trace is in the database, unless beat has not run for as long as the task's interval."""
    seconds = "every * CASE period WHEN 'seconds' THEN 1 WHEN 'minutes' THEN 60 WHEN 'hours' THEN 3600 ELSE 86400 END"
    sql = (
        f"SELECT enabled, total_run_count, extract(epoch FROM now() - last_run_at)::int, {seconds} "  # noqa: S608
        "FROM django_celery_beat_periodictask JOIN django_celery_beat_intervalschedule interval "
        "ON interval.id = interval_id WHERE name = 'sessions-clear-expired'"
    )
    ((enabled, count, ago, interval),) = query(host, sql)["rows"]
    assert enabled
    if interval <= 60:
        eventually(lambda: query(host, sql)["rows"][0][1] > count, seconds=interval + 10)
        return
    started = f"systemctl show --property=ActiveEnterTimestamp --value slipway-beat@{slot(host)}"
    age = int(host.check_output(f'echo $(($(date +%s) - $(date --date="$({started})" +%s)))'))
    if age <= interval:
        pytest.skip(f"due every {interval} s, and beat runs since {age} s")
    assert count > 0
    assert ago <= interval + 60


# --- units and releases --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("place", ["serving", "idle"])
def test_exactly_one_slot_runs_now_and_after_a_boot(host: Host, name: str, place: str) -> None:
    serving = slot(host)
    assert serving in ("blue", "green")
    named = serving if place == "serving" else {"blue": "green", "green": "blue"}[serving]
    units = [f"slipway-{name}@{named}.service", *([f"slipway-web@{named}.socket"] if name == "web" else [])]
    active = host.run(f"systemctl is-active {' '.join(units)}").stdout.split()
    enabled = host.run(f"systemctl is-enabled {' '.join(units)}").stdout.split()
    assert active == ["active" if place == "serving" else "inactive"] * len(units)
    # None starts by itself after a boot: the link `current` says which do.
    assert enabled == ["static"] * len(units)
    assert host.run("systemctl is-enabled slipway.service").stdout.strip() == "enabled"


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_runs_as_its_own_user(host: Host, name: str) -> None:
    pid = main_pid(host, f"slipway-{name}@{slot(host)}.service")
    assert host.check_output(f"ps -o user= -o group= -p {pid}").split() == ["slipway", "slipway"]


def test_the_user_cannot_log_in(host: Host) -> None:
    user = host.user("slipway")
    assert user.shell == "/usr/sbin/nologin"
    assert host.check_output("passwd --status slipway").split()[1] == "L"


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_cannot_change_its_own_release(host: Host, name: str) -> None:
    """As the process sees the file system, only the folder for what outlives releases may be written to."""
    pid = main_pid(host, f"slipway-{name}@{slot(host)}.service")
    assert pid
    writable = "find -L /srv/slipway /etc/slipway /usr/local /var/lib -maxdepth 6 -writable -not -type s 2>/dev/null"
    inside = f"nsenter --target={pid} --mount setpriv --reuid=slipway --regid=slipway --clear-groups"
    assert host.run(f"cd / && {inside} sh -c 'test -w /tmp && echo looked; {writable}'").stdout == f"looked\n{DATA}\n"


def test_a_release_belongs_to_root(host: Host) -> None:
    """Except for the static files, which the release itself collects."""
    listing = f"find {CURRENT}/release/ -not -user root -not -path '*/staticfiles*'"
    assert host.check_output(listing) == ""


def test_a_release_lists_its_packages(host: Host) -> None:
    listed = json.loads(host.file(f"{CURRENT}/release/.sbom.cdx.json").content_string)
    assert listed["metadata"]["component"]["name"] == "slipway"
    installed = host.check_output(f"{CURRENT}/release/.venv/bin/python -m django --version")
    assert f"pkg:pypi/django@{installed}" in {component.get("purl") for component in listed["components"]}


# --- secrets -------------------------------------------------------------------------------------------------------


def test_only_root_reads_the_environment(host: Host) -> None:
    file = host.file(host.check_output(f"readlink --canonicalize {CURRENT}/environment"))
    assert (file.user, file.group, file.mode) == ("root", "root", 0o600)


# Runs on the host and names what it found, never the secret itself.
SECRETS = r"""
import json, re, shlex, subprocess, sys, urllib.parse
lines = open("/srv/slipway/current/environment").read().splitlines()
values = {name: shlex.split(value)[0] for name, value in (line.split("=", 1) for line in lines if line[:1].isupper())}
secrets = {name: urllib.parse.urlsplit(values[name]).password for name in ("DATABASE_URL", "CELERY_BROKER_URL")}
secrets["SECRET_KEY"] = values["SECRET_KEY"]
text = subprocess.run(json.loads(sys.argv[1]), capture_output=True, text=True, errors="replace").stdout
print(json.dumps([len(text) > 0, sorted(name for name, secret in secrets.items() if secret in text)]))
"""


@pytest.mark.units
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ps", "axww"], id="arguments of processes"),
        pytest.param(["journalctl", "--since=-1day", "--output=cat", "--all"], id="journal"),
        pytest.param(["systemctl", "show", "slipway-*"], id="properties of units"),
        pytest.param(["grep", "-rs", "-e", "", "/etc/systemd/system", "/var/log/apt"], id="units"),
    ],
)
def test_no_secret_is_in_the(host: Host, command: list[str]) -> None:
    seen, found = json.loads(host.check_output("python3 -c %s %s", SECRETS, json.dumps(command)))
    assert seen
    assert found == []


@pytest.mark.parametrize("name", PROCESSES)
def test_nobody_else_reads_the_environment_of_a_process(host: Host, name: str) -> None:
    pid = main_pid(host, f"slipway-{name}@{slot(host)}.service")
    assert host.run(f"runuser -u nobody -- cat /proc/{pid}/environ").stderr.strip().endswith("Permission denied")
    assert host.run(f"cat /proc/{pid}/environ").rc == 0


# --- the operator's command ----------------------------------------------------------------------------------------


def test_the_operators_command_finds_nothing_to_complain_about(host: Host) -> None:
    answer = host.run("slipway-manage check --deploy --fail-level WARNING")
    assert answer.rc == 0
    assert "System check identified no issues" in answer.stdout + answer.stderr


def test_the_operators_command_asks_a_stranger_to_become_root(host: Host) -> None:
    answer = host.run("cd / && runuser -u nobody -- /usr/local/bin/slipway-manage check")
    assert answer.rc == 1
    assert answer.stderr == "Become root first: sudo slipway-manage check\n"


def test_the_operators_command_sees_the_operators_files(host: Host) -> None:
    """It once wrote into a /tmp of its own, and said nothing."""
    folder = host.check_output("folder=$(mktemp -d) && chmod 0777 $folder && echo $folder")
    for path in ("backup.json", f"{folder}/absolute.json"):
        host.check_output(f"cd {folder} && slipway-manage dumpdata contenttypes -o {path}")
    read = "import json; print(len(json.load(open('backup.json'))))"
    assert int(host.check_output(f"cd {folder} && slipway-manage shell -v 0 -c %s", read)) > 5
    files = host.check_output(f"stat -c '%n %U %a' {folder}/*").splitlines()
    # Data of the project's, which no other user of the host reads.
    assert files == [f"{folder}/{name}.json slipway 600" for name in ("absolute", "backup")]
    host.check_output(f"rm -r {folder}")


def test_the_operators_command_says_what_it_could_not_write(host: Host) -> None:
    answer = host.run("cd /root && slipway-manage dumpdata contenttypes -o backup.json")
    assert answer.rc == 1
    assert "The user slipway, as whom this ran, may not read and write files in /root." in answer.stderr
    assert not host.file("/root/backup.json").exists


def test_the_operators_command_reads_no_secret_of_the_host(host: Host) -> None:
    for path in ("/etc/shadow", "/etc/ssh/ssh_host_ed25519_key", "/etc/slipway/", "/root/.ssh"):
        assert host.run("cd / && slipway-manage shell -v 0 -c %s", f"open('{path}')").rc == 1


def test_no_migration_waits(host: Host) -> None:
    assert host.run("slipway-manage migrate --check").rc == 0
