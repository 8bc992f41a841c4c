"""A PostgreSQL and a RabbitMQ of the tests' own, as small as the plans of app.json, and both with TLS."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RABBITMQ = Path("/usr/lib/rabbitmq/bin")
# What the plans allow.
DATABASE_CONNECTIONS = 20
BROKER_CONNECTIONS, BROKER_QUEUES = 20, 100


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed one for localhost, and its key. kombu makes an address of that name."""
    files = folder / "localhost.crt", folder / "localhost.key"
    names = "-addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = f"openssl req -x509 -newkey rsa:2048 -noenc -days 2 -subj /CN=localhost {names}"
    subprocess.run(
        [*command.split(), "-out", files[0], "-keyout", files[1]],
        check=True,
        capture_output=True,
    )
    return files


class Database:
    def __init__(self, superuser: str, url: str = "") -> None:
        self.superuser, self.url = superuser, url

    def ask(self, query: str) -> str:
        """The first line of the answer."""
        answer = self._psql("-c", query).stdout.strip().splitlines()
        return answer[0] if answer else ""

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Whoever wants the table waits until the end of the block."""
        session = subprocess.Popen(
            ["psql", "-qAt", self.superuser], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert session.stdin
        assert session.stdout
        session.stdin.write(f"BEGIN; LOCK TABLE {table}; SELECT 'locked';\n")
        session.stdin.flush()
        assert session.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            session.stdin.close()
            session.wait(timeout=10)

    def waiting(self) -> int:
        return int(self.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

    def _psql(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["psql", "-qAt", self.superuser, *arguments], check=True, capture_output=True, text=True, timeout=30
        )


@contextmanager
def database(folder: Path) -> Iterator[Database]:
    password = secrets.token_hex(8)
    cert, key = certificate(folder)
    if os.geteuid() == 0:
        # Then the server runs as another user.
        folder.chmod(0o755)
        shutil.chown(key, "postgres")
    options = ["-o", f"ssl_cert_file={cert}", "-o", f"ssl_key_file={key}"]
    # Ends, and drops the cluster, when its input does.
    server = subprocess.Popen(
        ["pg_virtualenv", "-t", *options, "sh", "-c", "echo $PGUSER $PGPASSWORD $PGPORT; cat >/dev/null"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(folder / "postgresql.log").open("w"),
        text=True,
    )
    assert server.stdin
    assert server.stdout
    try:
        line = next((line for line in server.stdout if len(line.split()) == 3 and "..." not in line), None)
        assert line, (folder / "postgresql.log").read_text()
        user, superpassword, port = line.split()
        server_url = f"postgres://{user}:{superpassword}@localhost:{port}"
        first = Database(f"{server_url}/postgres")
        # pg_createcluster ignores it where the machine has no certificate of its own.
        first.ask("ALTER SYSTEM SET ssl = on")
        first.ask("SELECT pg_reload_conf()")
        assert first.ask("SHOW ssl") == "on", (folder / "postgresql.log").read_text()
        first.ask(f"CREATE ROLE u1234 LOGIN PASSWORD '{password}' CONNECTION LIMIT {DATABASE_CONNECTIONS}")
        first.ask("CREATE DATABASE d1234 OWNER u1234")
        yield Database(f"{server_url}/d1234", f"postgres://u1234:{password}@localhost:{port}/d1234")
    finally:
        server.stdin.close()
        server.wait(timeout=60)


class Broker:
    def __init__(self, environment: dict[str, str], url: str, authority: Path) -> None:
        self.environment, self.url, self.authority = environment, url, authority

    def control(self, *arguments: str) -> list[list[str]]:
        done = subprocess.run(
            [RABBITMQ / "rabbitmqctl", "--quiet", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return [line.split("\t") for line in done.stdout.splitlines()]

    def connections(self) -> int:
        return len(self.control("list_connections", "--no-table-headers", "pid"))

    def queues(self) -> dict[str, int]:
        return {name: int(waiting) for name, waiting in self.rows("name", "messages")}

    def rows(self, *columns: str) -> list[list[str]]:
        return self.control("list_queues", "--no-table-headers", *columns)


@contextmanager
def broker(folder: Path) -> Iterator[Broker]:
    port, epmd, distribution, password = free_port(), free_port(), free_port(), secrets.token_hex(8)
    cert, key = certificate(folder)
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp = none\nlisteners.ssl.1 = 127.0.0.1:{port}\n"
        f"ssl_options.certfile = {cert}\nssl_options.keyfile = {key}\nssl_options.cacertfile = {cert}\n"
        f"ssl_options.verify = verify_none\ndefault_user = u1234\ndefault_pass = {password}\n"
    )
    (folder / "enabled_plugins").write_text("[].\n")
    (folder / "rabbitmq-env.conf").write_text("")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "ERL_EPMD_PORT": str(epmd),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"slipway{port}@localhost",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    log = folder / "rabbitmq.log"
    server = subprocess.Popen(
        # Not /usr/sbin's, which changes to the user of the package's own service.
        [RABBITMQ / "rabbitmq-server"],
        env=environment,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        give_up = time.monotonic() + 90
        while "Server startup complete" not in log.read_text():
            assert server.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < give_up, log.read_text()[-3000:]
            time.sleep(0.2)
        made = Broker(environment, f"amqps://u1234:{password}@localhost:{port}/%2F", cert)
        limits = f'{{"max-connections": {BROKER_CONNECTIONS}, "max-queues": {BROKER_QUEUES}}}'
        made.control("set_vhost_limits", "-p", "/", limits)
        yield made
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)
        subprocess.run(["epmd", "-kill"], env=environment, capture_output=True, timeout=20, check=False)
