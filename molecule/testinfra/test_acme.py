"""Certificates of a real ACME server, Debian's pebble, for two web hosts behind one name.

pebble runs on the host of the database. A DNS server of its own leads every name to the first web host alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import inventory
import pytest
from support import MACHINES, ROOT, Site, exposure
from testinfra.host import Host

pytestmark = [pytest.mark.destructive, pytest.mark.slipway, pytest.mark.releases]
LIVE = "/var/lib/slipway-certificate/slipway/config/live/slipway"
TOLD = "/var/lib/slipway-certificate/slipway/certbot.ini"
SHOWN = "/etc/ssl/slipway/fullchain.pem"
INTERNAL = "/etc/ssl/slipway/internal"
SECRET = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"  # noqa: S105 - of pebble's own example
NAMES = ("api.cluster.example.com", "app.cluster.example.com")
NOBODY = "nobody.cluster.example.com"
PEBBLE = {
    "listenAddress": "0.0.0.0:14000",
    "managementListenAddress": "127.0.0.1:15000",
    "certificate": f"{INTERNAL}/fullchain.pem",
    "privateKey": f"{INTERNAL}/privkey.pem",
    "httpPort": 80,
    "tlsPort": 443,
    "externalAccountBindingRequired": True,
    "externalAccountMACKeys": {"kid-1": SECRET},
}
START = """
apt-get install --yes --quiet --no-install-recommends pebble
echo '{config}' >/run/pebble.json
export PEBBLE_VA_NOSLEEP=1 PEBBLE_AUTHZREUSE=0 PEBBLE_WFE_NONCEREJECT=0
run="systemd-run --quiet --setenv=PEBBLE_VA_NOSLEEP --setenv=PEBBLE_AUTHZREUSE --setenv=PEBBLE_WFE_NONCEREJECT"
$run --unit=dns pebble-challtestsrv -dns01 127.0.0.1:8053 -management :8055 -defaultIPv4 {first} -defaultIPv6 "" \
    -http01 "" -https01 "" -tlsalpn01 ""
$run --unit=pebble pebble -config /run/pebble.json -dnsserver 127.0.0.1:8053
$run --unit=busy python3 -c '{busy}'
nft add element inet slipway public_ports '{{ 8055, 14000, 14001 }}'
for try in $(seq 50); do ss -lnt | grep -q :14001 && ss -lnt | grep -q :14000 && break; sleep 0.1; done
"""
STOP = "systemctl stop dns pebble busy; nft delete element inet slipway public_ports '{ 8055, 14000, 14001 }'"
# What an operator would write for the DNS server.
HOOK = """#!/usr/bin/python3
import json, os, sys, urllib.request
record = {"host": "_acme-challenge." + os.environ["CERTBOT_DOMAIN"] + ".", "value": os.environ["CERTBOT_VALIDATION"]}
verb = {"add": "set-txt", "remove": "clear-txt"}[sys.argv[1]]
urllib.request.urlopen("http://ADDRESS:8055/" + verb, json.dumps(record).encode())
"""
# An ACME server that has had enough, which pebble never has.
BUSY = """
import http.server, json, ssl

class Server(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body, kind="application/json"):
        here = "https://" + self.headers["Host"]
        self.send_response(status)
        for name, value in (("Replay-Nonce", "AAAA"), ("Location", here + "/account/1"), ("Content-Type", kind)):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(json.dumps(body).encode())

    def do_GET(self):
        here = "https://" + self.headers["Host"]
        self.answer(200, {key: here + "/" + key for key in ("newNonce", "newAccount", "newOrder")})

    do_HEAD = do_GET

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/newAccount":
            return self.answer(201, {"status": "valid"})
        why = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates, try again on Sunday"}
        self.answer(429, why, "application/problem+json")

server = http.server.HTTPServer(("", 14001), Server)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("INTERNAL/fullchain.pem", "INTERNAL/privkey.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
""".replace("INTERNAL", INTERNAL)


@dataclass
class Authority:
    """The ACME server, the hosts that ask it, and the inventory that says so."""

    host: Host
    web: list[Host]
    inventory: Path
    root: str = ""

    @property
    def address(self) -> str:
        return str(inventory.variables(self.host)["ansible_host"])

    def choose(self, source: str, *names: str, **more: str) -> None:
        """Write what the operator would."""
        variables = {
            "certificates_source": source,
            "certificates_names": [*NAMES, *names],
            "certificates_acme_server": f"https://{self.address}:14000/dir",
            "certificates_acme_account_id": "kid-1",
            "certificates_acme_account_secret": SECRET,
            **more,
        }
        (self.inventory / "group_vars/all/certificates.yml").write_text(json.dumps(variables))

    def provision(self, *tags: str) -> tuple[int, str]:
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.inventory)]
        environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "slipway.host.progress", "COLUMNS": "1000"}
        done = subprocess.run(
            [*command, "ansible/site.yml", "--tags", ",".join(tags)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def issuer(self, host: Host) -> str:
        """Whose certificate nginx shows, as somebody sees it who trusts pebble and the inventory's own authority."""
        context = Site.on(host).context()
        context.load_verify_locations(cadata=self.root)
        found = []
        for name in NAMES:
            with Site.on(host).beside(name).handshake(context) as connection:
                certificate: dict[str, Any] = dict(connection.getpeercert() or {})
            found.append(str(dict(part[0] for part in certificate["issuer"])["commonName"]))
        assert len(set(found)) == 1
        return "pebble" if found[0].startswith("Pebble") else found[0]


@pytest.fixture(scope="module")
def authority(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    machines: list[Host] = request.config.stash[MACHINES]
    web = [machine for machine in machines if "web" in inventory.groups(machine)]
    data = next(machine for machine in machines if machine not in web)
    original = Path(inventory.variables(data)["inventory_dir"])
    clone = tmp_path_factory.mktemp("clone")
    copy = clone / original.relative_to(ROOT)
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns(".secrets"))
    (copy / ".secrets").symlink_to(original / ".secrets")
    (clone / "examples").symlink_to(ROOT / "examples")
    made = Authority(data, web, copy)
    first = inventory.variables(web[0])["ansible_host"]
    data.check_output("sh -ec %s", START.format(config=json.dumps({"pebble": PEBBLE}), busy=BUSY, first=first))
    for machine in machines:
        machine.check_output("cp /etc/hosts /etc/hosts.before; echo %s >>/etc/hosts", f"{first} {' '.join(NAMES)}")
        machine.check_output(f"cp {INTERNAL}/authority.pem /usr/local/share/ca-certificates/acme.crt")
        machine.check_output("update-ca-certificates")
    made.root = data.check_output("python3 -c %s", ROOTS)
    yield made
    # What a test leaves that failed.
    if any(host.file("/etc/systemd/system/slipway-certificate.timer").exists for host in web):
        made.choose("self_signed")
        assert made.provision("certificates", "nginx_service")[0] == 0
    for machine in machines:
        machine.check_output(
            "mv /etc/hosts.before /etc/hosts; rm /usr/local/share/ca-certificates/acme.crt; update-ca-certificates;"
            # The next pebble knows none of these accounts.
            "rm -rf /var/lib/slipway-certificate"
        )
    data.check_output("sh -c %s", STOP)


# pebble's own page of them; what it shows itself by is for another name.
ROOTS = (
    "import ssl, urllib.request as u; context = ssl._create_unverified_context(); "
    "print(u.urlopen('https://127.0.0.1:15000/roots/0', context=context).read().decode())"
)

# With the library that certbot brings: openssl's command signs from now on.
OLD = """
import datetime, pathlib, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
live = pathlib.Path(sys.argv[1])
latest = x509.load_pem_x509_certificate((live / "cert.pem").read_bytes())
key = serialization.load_pem_private_key((live / "privkey.pem").read_bytes(), None)
end = datetime.datetime.utcnow() + datetime.timedelta(days=29)
begin = end - datetime.timedelta(days=90)
old = x509.CertificateBuilder(latest.issuer, latest.subject, key.public_key(), 1, begin, end)
names = latest.extensions.get_extension_for_class(x509.SubjectAlternativeName)
old = old.add_extension(names.value, critical=names.critical).sign(key, hashes.SHA256())
(live / "fullchain.pem").write_bytes(old.public_bytes(serialization.Encoding.PEM))
"""


@contextlib.contextmanager
def asked(sites: list[Site]) -> Iterator[list[str]]:
    """Ask all sites all the time; what failed is in the list."""
    failures: list[str] = []
    over = threading.Event()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def ask() -> None:
        while not over.wait(0.2):
            for site in sites:
                try:
                    with contextlib.closing(site.open(context=context)) as connection:
                        status = site.get("/config.json", connection=connection).status
                except OSError as error:
                    failures.append(f"{site.address}: {error}")
                else:
                    failures.extend([f"{site.address}: {status}"] if status != 200 else [])

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield failures
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def public(authority: Authority) -> Authority:
    """The site with certificates of the ACME server, which it had none of before, and never without an answer."""
    authority.choose("acme")
    with asked([Site.on(host).beside(NAMES[1]) for host in authority.web]) as failures:
        code, output = authority.provision("certificates", "nginx_project", "nginx_service")
    assert code == 0, output
    assert failures == []
    return authority


def renew(host: Host) -> tuple[bool, str]:
    """What the timer starts, and what it says."""
    code = host.run("systemctl reset-failed slipway-certificate; systemctl start slipway-certificate").rc
    begun = host.check_output("systemctl show slipway-certificate --property=InvocationID --value")
    # What a unit wrote last may not be in the journal yet.
    return code == 0, host.check_output(f"journalctl --sync; journalctl --output=cat _SYSTEMD_INVOCATION_ID={begun}")


def age(host: Host) -> None:
    """Let the certificate that certbot has be one of 90 days, with 29 left."""
    host.check_output("python3 -c %s %s", OLD, LIVE)


@contextlib.contextmanager
def told(host: Host, change: str) -> Iterator[None]:
    """Let certbot be told something else."""
    host.check_output("sed --in-place=.before %s %s", change, TOLD)
    try:
        yield
    finally:
        host.check_output(f"mv {TOLD}.before {TOLD}")


def test_each_web_host_gets_one_whichever_of_them_is_asked(public: Authority) -> None:
    assert [public.issuer(host) for host in public.web] == ["pebble", "pebble"]
    assert len({host.file(SHOWN).content_string for host in public.web}) == 2
    for host in public.web:
        readable = host.check_output(
            "find /var/lib/slipway-certificate /etc/ssl/slipway/privkey.pem -type f -perm /077"
        )
        assert readable == ""
        assert exposure(host, "slipway-certificate.service") <= 3.0


@pytest.mark.soak
def test_a_second_run_changes_nothing_and_asks_nobody(public: Authority) -> None:
    code, output = public.provision("certificates")
    assert code == 0, output
    assert output.count(" 0 changed") == 3, output


def test_one_that_nears_its_end_is_renewed(public: Authority) -> None:
    host = public.web[1]
    before = host.file(SHOWN).content_string
    assert renew(host) == (True, ""), "it is not time yet"
    age(host)
    done, said = renew(host)
    assert done, said
    assert "less than a third of its time is left" in said
    assert host.file(SHOWN).content_string != before
    assert public.issuer(host) == "pebble"


def test_the_old_one_stays_while_the_server_is_away(public: Authority) -> None:
    """`make status` shows it, and the next run that reaches the server makes it good."""
    host = public.web[0]
    before = host.file(SHOWN).content_string
    age(host)
    with told(host, "s/:14000/:14002/"):
        done, said = renew(host)
    assert not done
    assert "Connection refused" in said or "timed out" in said, said
    assert "gave no certificate. The one before stays in use." in said
    assert (host.file(SHOWN).content_string, public.issuer(host)) == (before, "pebble")
    assert host.run("systemctl is-failed slipway-certificate").rc == 0
    done, said = renew(host)
    assert done, said
    assert host.file(SHOWN).content_string != before


def test_a_server_that_had_enough_is_quoted(public: Authority) -> None:
    host = public.web[0]
    before = host.file(SHOWN).content_string
    with told(host, "s|:14000/dir|:14001/|"):
        done, said = renew(host)
    assert not done
    assert "too many certificates, try again on Sunday" in said
    assert (host.file(SHOWN).content_string, public.issuer(host)) == (before, "pebble")


def test_a_name_that_the_server_cannot_reach_is_named(public: Authority) -> None:
    host = public.web[0]
    before = host.file(SHOWN).content_string
    with told(host, f"s/^domains = .*/&,{NOBODY}/"):
        done, said = renew(host)
    assert not done
    assert f"  Domain: {NOBODY}\n  Type:   connection\n  Detail: " in said, said
    assert (host.file(SHOWN).content_string, public.issuer(host)) == (before, "pebble")


def test_a_wildcard_is_proved_by_dns(public: Authority) -> None:
    host = public.web[1]
    folder = Path(TOLD).parent
    host.check_output(f"printf %s >{folder}/hook; chmod 700 {folder}/hook", HOOK.replace("ADDRESS", public.address))
    manual = f"authenticator = manual\\npreferred-challenges = dns\\nmanual-auth-hook = {folder}/hook add"
    manual += f"\\nmanual-cleanup-hook = {folder}/hook remove"
    changes = f"s|^authenticator.*|{manual}|; /^webroot/d; s/^domains = .*/&,*.cluster.example.com,cluster.example.com/"
    with told(host, changes):
        done, said = renew(host)
    assert done, said
    assert "DNS:*.cluster.example.com" in host.check_output(f"openssl x509 -in {SHOWN} -noout -ext subjectAltName")


def test_a_name_that_leads_elsewhere_is_found_before_the_server_is_asked(public: Authority) -> None:
    host = public.web[0]
    before = host.check_output("systemctl show slipway-certificate --property=InvocationID --value")
    for machine in public.web:
        machine.check_output(f"echo {public.address} {NOBODY} >>/etc/hosts")
    public.choose("acme", NOBODY)
    code, output = public.provision("certificates_renewal")
    assert code != 0
    assert f"{NOBODY} leads to {public.address}, where port 80 does not answer" in output, output
    assert "So the ACME server was not asked, and the site keeps the certificate that it has." in output
    assert host.check_output("systemctl show slipway-certificate --property=InvocationID --value") == before
    assert public.issuer(host) == "pebble"


def test_the_way_back_loses_no_request(public: Authority) -> None:
    """To a certificate that the operator brings, and to one of our own."""
    # Of an authority that nobody knows, so that it is part of the chain.
    chain = public.web[0].file(SHOWN).content_string + public.root
    key = public.web[0].file("/etc/ssl/slipway/privkey.pem").content_string
    with asked([Site.on(host).beside(NAMES[1]) for host in public.web]) as failures:
        public.choose("provided", certificates_provided_chain=chain, certificates_provided_key=key)
        code, output = public.provision("certificates", "nginx_service")
        assert code == 0, output
        assert key not in output
        assert [host.file(SHOWN).content_string.strip() for host in public.web] == [chain.strip()] * 2
        assert [public.issuer(host) for host in public.web] == ["pebble", "pebble"]
        assert not any(host.run("systemctl is-active slipway-certificate.timer").rc == 0 for host in public.web)
        public.choose("self_signed")
        code, output = public.provision("certificates", "nginx_service")
    assert code == 0, output
    assert failures == []
    assert {public.issuer(host) for host in public.web} == {"Slipway slipway authority"}
