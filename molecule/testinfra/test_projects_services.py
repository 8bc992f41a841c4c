"""What projects that are not ours get of the host beside their pages: users, extensions, mail, files, a cache."""

import json

import inventory
import pytest
from projects import MARKS, manage, pids
from support import eventually, exposure
from testinfra.host import Host

pytestmark = MARKS


def test_gunicorn_starts_without_an_error(host: Host) -> None:
    """The newest one opens a socket for commands, in a home that it may not write to."""
    said = host.check_output("journalctl --output=cat --unit='stock-web@*'")
    assert "Listening at" in said
    assert "[ERROR]" not in said


@pytest.mark.destructive
def test_a_first_user_is_made_without_a_question(host: Host) -> None:
    words = (
        "DJANGO_SUPERUSER_PASSWORD='a \"b\" $c' DJANGO_SUPERUSER_USERNAME=ada DJANGO_SUPERUSER_EMAIL=ada@example.org"
    )
    forget = "from django.contrib.auth.models import User; User.objects.filter(username='ada').delete()"
    known = "from django.contrib.auth import authenticate as a; assert a(username='ada', password='a \"b\" $c')"
    try:
        assert "created" in host.check_output(f"sudo {words} stock-manage createsuperuser --noinput")
        manage(host, "stock", known)
    finally:
        manage(host, "stock", forget)


@pytest.mark.parametrize("database", ["chat", "chat-reports"])
def test_an_extension_that_needs_a_superuser_is_in_each_database(host: Host, database: str) -> None:
    url = f"os.environ['DATABASE_URL'].replace('/chat?', '/{database}?')"
    code = f"import os, psycopg; print(psycopg.connect({url}).execute('SELECT earth()').fetchone())"
    assert "6378168.0" in manage(host, "chat", code)


@pytest.mark.destructive
def test_mail_goes_to_the_relay_of_the_inventory(host: Host) -> None:
    listen = "aiosmtpd --nosetuid --listen 127.0.0.1:2525 --class aiosmtpd.handlers.Debugging stdout"
    host.check_output(f"systemd-run --quiet --collect --unit=relay --setenv=PYTHONUNBUFFERED=1 {listen}")
    try:
        host.check_output("until ss --no-header --listening --tcp 'sport = 2525' | grep -q .; do sleep 0.2; done")
        host.check_output("shop-manage sendtestemail ada@example.org")
        logged = "journalctl --output=cat --unit=relay"
        assert eventually(lambda: "To: ada@example.org" in host.check_output(logged), seconds=10)
    finally:
        host.check_output("systemctl stop relay")


def test_a_file_of_the_inventory_is_read_by_the_project_alone(host: Host) -> None:
    folder = host.check_output("readlink -f /srv/shop/current/files")
    file = host.file(f"{folder}/shop/secrets.json")
    assert (file.user, file.group, file.mode) == ("root", "shop", 0o640)
    for person in ("chat", "www-data"):
        assert host.run(f"runuser -u {person} -- cat {file.path}").rc != 0
    # As a process of the slot that serves sees it.
    pid = pids(host, "shop")[next(unit for unit in pids(host, "shop") if "-web@" in unit)]
    seen = f"nsenter --mount --target {pid} cat /srv/shop/current/release/shop/secrets.json"
    assert json.loads(host.check_output(seen)) == {"key": 1}
    assert '{"key": 1}' in manage(host, "shop", "print(open('/srv/shop/current/release/shop/secrets.json').read())")


@pytest.mark.parametrize(("name", "scheme", "policy"), [("shop", "redis:", "yes"), ("chat", "rediss", "no")])
def test_a_cache_is_the_project_s_with_a_password_and_a_limit(host: Host, name: str, scheme: str, policy: str) -> None:
    code = "import os, redis; r = redis.Redis.from_url(os.environ['REDIS_URL'], decode_responses=True); "
    code += "from django.core.cache import cache as c; c.set('a', 'b'); "
    code += "print(c.get('a'), r.config_get('maxmemory*'), r.config_get('appendonly'), os.environ['CACHE_URL'][:6])"
    said = manage(host, name, code)
    assert "'maxmemory': '134217728'" in said
    assert "'maxmemory-policy': 'volatile-lru'" in said
    assert f"'appendonly': '{policy}'" in said
    assert said.splitlines()[-1].startswith("b {")
    assert said.endswith(scheme)


def test_a_cache_listens_where_it_should_only_and_returns_after_a_boot(host: Host) -> None:
    address = inventory.variables(host)["ansible_host"]
    for port, place, name in ((6380, "127.0.0.1", "shop"), (6381, address, "chat")):
        listed = host.check_output(f"ss --no-header --listening --tcp --numeric 'sport = {port}'").splitlines()
        assert [line.split()[3] for line in listed] == [f"{place}:{port}"]
        assert host.check_output("systemctl is-enabled redis-cache@%s.service", name) == "enabled"
        assert exposure(host, f"redis-cache@{name}.service") <= 3.0


def test_a_cache_says_nothing_without_its_password(host: Host) -> None:
    assert "NOAUTH" in host.check_output("redis-cli -p 6380 ping")
    address = inventory.variables(host)["ansible_host"]
    authority = "/etc/ssl/chat/internal/authority.pem"
    assert "NOAUTH" in host.check_output("redis-cli --tls --cacert %s -h %s -p 6381 ping", authority, address)
    assert host.run("redis-cli -h %s -p 6381 ping", address).stdout != "PONG\n"


@pytest.mark.destructive
def test_a_queue_in_redis_survives_its_death(host: Host) -> None:
    """What Celery keeps there is the project's work."""
    push = "import os, redis; redis.Redis.from_url(os.environ['REDIS_URL']).rpush('kept', 'task')"
    pop = "import os, redis; print(redis.Redis.from_url(os.environ['REDIS_URL']).lpop('kept'))"
    manage(host, "shop", push)
    # Longer than the second in which it writes what it was given.
    host.check_output("sleep 2 && systemctl kill --signal=KILL redis-cache@shop.service && sleep 3")
    assert manage(host, "shop", pop).endswith("b'task'")


def test_only_root_reads_the_password_of_the_cache(host: Host) -> None:
    file = host.file("/etc/redis-cache/shop.conf")
    assert (file.user, file.mode) == ("root", 0o600)
    uid = host.check_output("stat --format=%U /proc/$(systemctl show --property=MainPID --value redis-cache@shop)")
    assert uid not in ("root", "redis", "shop")
