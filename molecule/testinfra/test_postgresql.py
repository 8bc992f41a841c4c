import time

import inventory
import pytest
from support import query
from testinfra.host import Host

pytestmark = [pytest.mark.slipway, pytest.mark.group("database"), pytest.mark.units("postgresql@*")]
apart = pytest.mark.without("web", "worker", "beat")

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
def test_the_applications_role_may_not(client: Host, statement: str) -> None:
    assert query(client, statement)["error"] == INSUFFICIENT_PRIVILEGE


def test_the_applications_role_is_no_superuser(client: Host) -> None:
    attributes = "rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
    rows = query(client, f"SELECT {attributes} FROM pg_roles WHERE rolname = current_user")["rows"]  # noqa: S608
    assert rows == [[False] * 5]


def test_the_applications_role_is_member_of_no_other(client: Host) -> None:
    """Except of the one that PostgreSQL makes of a database's owner."""
    sql = "SELECT rolname FROM pg_roles WHERE pg_has_role(current_user, oid, 'member') AND rolname <> current_user"
    assert query(client, sql)["rows"] == [["pg_database_owner"]]


@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_the_applications_role_may_not_enter(client: Host, database: str) -> None:
    assert "no pg_hba.conf entry" in query(client, "SELECT 1", dbname=database)["error"]


def test_a_wrong_password_is_refused(client: Host) -> None:
    assert "password authentication failed" in query(client, "SELECT 1", password="wrong")["error"]  # noqa: S106


def test_the_password_is_stored_as_scram(host: Host) -> None:
    sql = "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'slipway'"
    assert host.check_output("runuser -u postgres -- psql -XAtc %s", sql) == "t"


@pytest.mark.parametrize("role", ["slipway", "postgres"])
@pytest.mark.parametrize(
    "user", ["nobody", "www-data", pytest.param("slipway", marks=pytest.mark.group("web", "worker", "beat"))]
)
def test_another_local_user_is_refused(host: Host, user: str, role: str) -> None:
    """Without the password even the application's own user is nobody to PostgreSQL."""
    answer = host.run(f"cd / && runuser -u {user} -- psql -Xw --username={role} --dbname={role} --command='SELECT 1'")
    assert answer.rc == 2
    assert any(words in answer.stderr for words in ("no password supplied", "Peer authentication failed"))


@pytest.mark.parametrize("statement", ["SELECT pg_sleep(1.5), '{}'", "SELECT 1 / 0, '{}'"])
def test_no_statement_is_logged(host: Host, client: Host, statement: str) -> None:
    """Neither a slow nor a failing one: they carry the keys of sessions."""
    marker = f"marker{time.time_ns()}"
    query(client, statement.format(marker))
    assert host.run(f"grep --recursive --no-messages {marker} /var/log/postgresql").rc == 1
    assert host.run(f"journalctl --unit='postgresql*' --grep={marker}").rc == 1


def test_another_local_user_cannot_read_the_files(host: Host) -> None:
    assert "Permission denied" in host.run("runuser -u nobody -- ls /var/lib/postgresql/*/main/").stderr
    assert host.check_output("find /var/lib/postgresql/*/main -maxdepth 0 -perm /077") == ""


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("data_checksums", "on"),
        ("password_encryption", "scram-sha-256"),
        ("synchronous_commit", "on"),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("server_encoding", "UTF8"),
    ],
)
def test_the_server_runs_with(client: Host, setting: str, value: str) -> None:
    assert query(client, f"SHOW {setting}")["rows"] == [[value]]


def test_the_server_listens_on_no_address_that_is_not_named(host: Host) -> None:
    """On none at all where the application is on the same host."""
    lines = host.check_output("ss --no-header --listening --tcp --numeric").splitlines()
    places = [line.split()[3].rsplit(":", 1) for line in lines]
    named = inventory.variables(host).get("postgresql_listen_addresses", [])
    assert sorted(address.strip("[]") for address, port in places if port == "5432") == sorted(named)


# --- from another host ---------------------------------------------------------------------------------------------


@apart
def test_the_application_speaks_tls_to_the_server(client: Host) -> None:
    rows = query(client, "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")["rows"]
    assert rows == [[True, "TLSv1.3"]]


@apart
def test_the_application_logs_in_by_scram(client: Host) -> None:
    """No other way binds the login to the TLS connection."""
    assert query(client, "SELECT 1", channel_binding="require") == {"rows": [[1]], "error": None}


@apart
def test_plain_text_is_refused(client: Host) -> None:
    error = query(client, "SELECT 1", sslmode="disable")["error"]
    assert "no pg_hba.conf entry" in error
    assert "no encryption" in error


@apart
@pytest.mark.parametrize("login", [{"user": "postgres"}, {"dbname": "postgres"}, {"password": "wrong"}])
def test_another_host_cannot_log_in_with(client: Host, login: dict[str, str]) -> None:
    error = query(client, "SELECT 1", **login)["error"]
    assert "no pg_hba.conf entry" in error or "password authentication failed" in error


@apart
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sslrootcert": "/etc/ssl/certs/ca-certificates.crt"}, "certificate verify failed"),
        ({"host": "another.test"}, "does not match host name"),
    ],
)
def test_the_application_refuses_a_server_with(host: Host, client: Host, change: dict[str, str], reason: str) -> None:
    """A certificate of another authority, or for another name."""
    assert reason in query(client, "SELECT 1", hostaddr=inventory.variables(host)["ansible_host"], **change)["error"]


def test_the_server_returns_after_a_boot(host: Host) -> None:
    assert host.service("postgresql").is_enabled
    assert host.check_output("systemctl is-active 'postgresql@*'") == "active"
