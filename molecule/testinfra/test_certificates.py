import re
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import inventory
import pytest
from support import Site
from testinfra.host import Host

pytestmark = pytest.mark.units("nginx", "postgresql@*", "rabbitmq-server")
web = pytest.mark.group("web")


def handshake(site: Site, *, lowest: ssl.TLSVersion, highest: ssl.TLSVersion) -> str | None:
    """Try TLS of these versions, with a client that itself would accept anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = lowest
        context.maximum_version = highest
    with site.handshake(context) as connection:
        return connection.version()


def presented(site: Site) -> dict[str, Any]:
    """The certificate that the site shows."""
    with site.handshake() as connection:
        certificate = connection.getpeercert()
    assert certificate
    return dict(certificate)


@web
def test_the_certificate_is_valid_for_the_domain(site: Site) -> None:
    """The handshake checks chain, name and dates; it fails with the reason."""
    site.open().close()


@web
def test_the_certificate_is_for_no_other_name(host: Host, site: Site) -> None:
    variables = inventory.variables(host)
    frontends = [frontend["domain"] for frontend in variables.get("project_frontends", [])]
    names = presented(site)["subjectAltName"]
    further = [*variables.get("project_other_domains", []), *variables.get("project_redirect_domains", []), *frontends]
    expected = variables.get("certificates_names", [site.domain, *further])
    assert set(names) == {("DNS", name) for name in expected}
    assert {site.domain, *frontends} <= set(expected)


@web
def test_the_certificate_is_not_about_to_end(site: Site) -> None:
    """A month is left, or of one that lives for weeks a quarter."""
    begin, end = (ssl.cert_time_to_seconds(presented(site)[key]) for key in ("notBefore", "notAfter"))
    assert end - time.time() > min(30 * 86400, (end - begin) / 4)


@web
@pytest.mark.parametrize(("version", "spoken"), [("TLSv1_2", "TLSv1.2"), ("TLSv1_3", "TLSv1.3")])
def test_current_tls_is_spoken(site: Site, version: str, spoken: str) -> None:
    only = ssl.TLSVersion[version]
    assert handshake(site, lowest=only, highest=only) == spoken


@web
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_older_tls_is_refused(site: Site, version: str) -> None:
    """By the server's own alert: a client that gave up by itself would prove nothing."""
    with pytest.raises(ssl.SSLError) as refusal:
        handshake(site, lowest=ssl.TLSVersion.TLSv1, highest=ssl.TLSVersion[version])
    assert refusal.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


@web
@pytest.mark.slipway
def test_only_root_reads_the_private_key(host: Host) -> None:
    key = host.file("/etc/ssl/slipway/privkey.pem")
    assert (key.user, key.group, key.mode) == ("root", "root", 0o600)


@web
@pytest.mark.slipway
def test_the_key_of_the_authority_never_comes_to_the_host(host: Host) -> None:
    files = host.check_output("find /etc/ssl/slipway -type f -name '*.pem' -printf '%f\\n'").split()
    assert set(files) == {"authority.pem", "fullchain.pem", "privkey.pem"}


# --- between hosts -------------------------------------------------------------------------------------------------

INTERNAL = "/etc/ssl/slipway/internal"
# How openssl reaches a service: PostgreSQL first says in its own protocol that it wants TLS.
SERVICES = {"database": "{address}:5432 -starttls postgres", "broker": "{address}:5671"}
PLAY = Path(__file__).parents[2] / "ansible/site.yml"

every_service = pytest.mark.parametrize(
    "service", [pytest.param(name, marks=pytest.mark.group(name)) for name in SERVICES]
)


Test = TypeVar("Test", bound=Callable[..., None])


def apart(test: Test) -> Test:
    marked: Test = pytest.mark.slipway(pytest.mark.without("web", "worker", "beat")(test))
    return marked


def greet(host: Host, client: Host, service: str, *options: str) -> str:
    """What openssl on a web host says about the service's handshake."""
    place = SERVICES[service].format(address=inventory.variables(host)["ansible_host"])
    answer = client.run(f"timeout 10 openssl s_client -connect {place} -showcerts {' '.join(options)} </dev/null")
    return str(answer.stdout + answer.stderr)


@apart
@every_service
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_web_host_verifies_the_certificate_of(host: Host, client: Host, service: str, version: str) -> None:
    address = inventory.variables(host)["ansible_host"]
    text = greet(host, client, service, f"-CAfile {INTERNAL}/authority.pem -verify_ip {address}", version)
    assert f"Verified peername: {address}" in text or "Verify return code: 0 (ok)" in text


@apart
@every_service
@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_older_tls_is_refused_by_the(host: Host, client: Host, service: str, version: str) -> None:
    """By its own alert: a client that gave up by itself would prove nothing."""
    assert "alert protocol version" in greet(host, client, service, version, "-cipher ALL:@SECLEVEL=0")


@apart
@pytest.mark.parametrize(
    ("user", "reads"),
    [
        pytest.param("postgres", True, marks=pytest.mark.group("database")),
        pytest.param("rabbitmq", False, marks=pytest.mark.group("broker")),
        ("nobody", False),
        ("www-data", False),
        ("admin", False),
    ],
)
def test_the_key_of_the_services_is_readable_by(host: Host, user: str, reads: bool) -> None:
    """RabbitMQ gets it from its unit, and no other copy."""
    key = f"{INTERNAL}/privkey.pem"
    assert host.run(f"test -s {key}").rc == 0
    assert (host.run(f"cd / && runuser -u {user} -- cat {key}").rc == 0) == reads


def certificate(text: str) -> str:
    found = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    assert found, text
    return found[0]


@apart
@pytest.mark.destructive
def test_a_renewed_certificate_reaches_the_running_services(host: Host, client: Host) -> None:
    variables = inventory.variables(host)
    services = [name for name in SERVICES if name in variables["group_names"]]
    before = {service: certificate(greet(host, client, service)) for service in services}
    folder = Path(variables["inventory_dir"])
    (folder / f".secrets/internal-{host.backend.host}.crt").unlink()
    command = [Path(sys.executable).with_name("ansible-playbook"), PLAY, "-i", folder, "--limit", host.backend.host]
    tags = "certificates,postgresql_service,broker_service"
    subprocess.run([*command, "--tags", tags], cwd=PLAY.parents[1], check=True, capture_output=True)
    after = {service: certificate(greet(host, client, service)) for service in services}
    renewed = host.check_output(f"cat {INTERNAL}/fullchain.pem").strip()
    assert after == dict.fromkeys(services, renewed)
    assert renewed not in before.values()
