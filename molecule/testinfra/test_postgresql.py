import time

import pytest
from support import query

pytestmark = [pytest.mark.group("database"), pytest.mark.units("postgresql@*")]

INSUFFICIENT_PRIVILEGE = "42501"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE DATABASE testinfra",
        "CREATE ROLE testinfra",
        "ALTER ROLE slipway CREATEDB",
        "ALTER SYSTEM SET log_statement = 'all'",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
    ],
)
def test_the_applications_role_may_not(host, statement):
    assert query(host, statement)["error"] == INSUFFICIENT_PRIVILEGE


def test_the_applications_role_is_no_superuser(host):
    attributes = "rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
    rows = query(host, f"SELECT {attributes} FROM pg_roles WHERE rolname = current_user")["rows"]  # noqa: S608
    assert rows == [[False] * 5]


def test_the_applications_role_is_member_of_no_other(host):
    """Except of the one that PostgreSQL makes of a database's owner."""
    sql = "SELECT rolname FROM pg_roles WHERE pg_has_role(current_user, oid, 'member') AND rolname <> current_user"
    assert query(host, sql)["rows"] == [["pg_database_owner"]]


@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_the_applications_role_may_not_enter(host, database):
    assert "no pg_hba.conf entry" in query(host, "SELECT 1", dbname=database)["error"]


def test_a_wrong_password_is_refused_on_the_local_socket(host):
    assert "password authentication failed" in query(host, "SELECT 1", password="wrong")["error"]  # noqa: S106


def test_the_password_is_stored_as_scram(host):
    sql = "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'slipway'"
    assert host.check_output("runuser -u postgres -- psql -XAtc %s", sql) == "t"


@pytest.mark.parametrize("role", ["slipway", "postgres"])
@pytest.mark.parametrize("user", ["nobody", "www-data", "slipway"])
def test_another_local_user_is_refused(host, user, role):
    """Without the password even the application's own user is nobody to PostgreSQL."""
    answer = host.run(f"cd / && runuser -u {user} -- psql -Xw --username={role} --dbname={role} --command='SELECT 1'")
    assert answer.rc == 2
    assert any(words in answer.stderr for words in ("no password supplied", "Peer authentication failed"))


@pytest.mark.parametrize("statement", ["SELECT pg_sleep(1.5), '{}'", "SELECT 1 / 0, '{}'"])
def test_no_statement_is_logged(host, statement):
    """Neither a slow nor a failing one: they carry the keys of sessions."""
    marker = f"marker{time.time_ns()}"
    query(host, statement.format(marker))
    assert host.run(f"grep --recursive --no-messages {marker} /var/log/postgresql").rc == 1
    assert host.run(f"journalctl --unit='postgresql*' --grep={marker}").rc == 1


def test_another_local_user_cannot_read_the_files(host):
    assert "Permission denied" in host.run("runuser -u nobody -- ls /var/lib/postgresql/*/main/").stderr
    assert host.check_output("find /var/lib/postgresql/*/main -maxdepth 0 -perm /077") == ""


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("password_encryption", "scram-sha-256"),
        ("synchronous_commit", "on"),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("server_encoding", "UTF8"),
    ],
)
def test_the_server_runs_with(host, setting, value):
    assert query(host, f"SHOW {setting}")["rows"] == [[value]]


def test_the_server_does_not_listen_on_tcp(host):
    assert ":5432 " not in host.check_output("ss --no-header --listening --tcp --numeric")


def test_the_server_returns_after_a_boot(host):
    assert host.service("postgresql").is_enabled
    assert host.check_output("systemctl is-active 'postgresql@*'") == "active"
