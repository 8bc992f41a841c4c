"""What projects that are not ours get of the host beside their pages: users, extensions, mail, files, a cache."""

import json

import pytest
from test_projects import manage, pids, pytestmark
from testinfra.host import Host

__all__ = ["pytestmark"]


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


def test_mail_goes_to_the_relay_of_the_inventory(host: Host) -> None:
    code = (
        "from django.conf import settings as s; print(s.EMAIL_HOST, s.EMAIL_PORT, s.EMAIL_USE_TLS, s.EMAIL_HOST_USER)"
    )
    assert manage(host, "shop", code).endswith("mail.example 587 True ada")


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


def test_a_cache_is_the_project_s_with_a_password_and_a_limit(host: Host) -> None:
    assert "NOAUTH" in host.check_output("redis-cli -p 6380 ping")
    code = "import os, redis; r = redis.Redis.from_url(os.environ['CACHE_URL'], decode_responses=True); "
    code += "r.set('a', 'b', ex=60); print(r.get('a'), r.config_get('maxmemory*'), os.environ['REDIS_URL'][:24])"
    said = manage(host, "shop", code)
    assert "'maxmemory': '134217728'" in said
    assert "'maxmemory-policy': 'volatile-lru'" in said
    # The broker of the project, which its own environment names.
    assert "b {" in said
    assert said.endswith("redis://127.0.0.1:6379/0")


def test_a_cache_listens_on_loopback_only_and_returns_after_a_boot(host: Host) -> None:
    places = host.check_output("ss --no-header --listening --tcp --numeric 'sport = 6380'").split("\n")
    assert [place.split()[3] for place in places] == ["127.0.0.1:6380"]
    assert host.check_output("systemctl is-enabled redis-cache@shop.service") == "enabled"


def test_only_root_reads_the_password_of_the_cache(host: Host) -> None:
    file = host.file("/etc/redis-cache/shop.conf")
    assert (file.user, file.mode) == ("root", 0o600)
    uid = host.check_output("stat --format=%U /proc/$(systemctl show --property=MainPID --value redis-cache@shop)")
    assert uid not in ("root", "redis", "shop")
