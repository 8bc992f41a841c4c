"""The authority of an inventory signs the inventory's names, and those who import it trust it for no others."""

from __future__ import annotations

import datetime
import ipaddress
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from repository import ROOT

HOSTS: dict[str, dict[str, Any]] = {
    "web1": {"ansible_host": "10.0.0.11", "project_frontends": [{"domain": "app.example.org", "path": "/srv/app"}]},
    "web2": {"ansible_host": "fd00::12"},
    # A host may have no other name than its address.
    "10.0.0.21": {"certificates_internal_names": ["db.internal"]},
}


def sign(folder: Path, hosts: dict[str, dict[str, Any]], **variables: Any) -> None:
    """Run the role as the play of certificates between hosts does."""
    inventory = {"all": {"hosts": hosts, "vars": {"project_name": "shop", "project_domain": "shop.example"}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
    given = {
        "certificates_names": "{{ __internal_names }}",
        "certificates_file": "internal-{{ inventory_hostname }}",
        "ansible_python_interpreter": sys.executable,
        **variables,
    }
    role = {"ansible.builtin.import_role": {"name": "certificates", "tasks_from": "self_signed"}}
    play = {
        **{"hosts": "all", "gather_facts": False, "connection": "local", "vars": given, "tasks": [role]},
        "vars_files": [str(ROOT / "ansible/vars/handover.yml")],
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "hosts.yml", "play.yml"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def forge(secrets: Path, *names: x509.GeneralName) -> Path:
    """What somebody with the authority's key would sign."""
    authority = x509.load_pem_x509_certificate((secrets / "ca.crt").read_bytes())
    key = serialization.load_pem_private_key((secrets / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A bank")])
    builder = x509.CertificateBuilder(authority.subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    signed = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(key, hashes.SHA256())
    path = secrets / "forged.crt"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return path


def verify(authority: Path, certificate: Path) -> str:
    command = ["openssl", "verify", "-CAfile", str(authority), str(certificate)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "OK" if done.returncode == 0 else done.stderr


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inventory")
    sign(folder, HOSTS)
    return folder / ".secrets"


@pytest.mark.parametrize("host", HOSTS)
def test_the_authority_may_sign_for_each_host(secrets: Path, host: str) -> None:
    assert verify(secrets / "ca.crt", secrets / f"internal-{host}.crt") == "OK"


@pytest.mark.parametrize("name", ["shop.example", "app.example.org", "web2", "db.internal"])
def test_it_may_sign_each_name_of_the_inventory(secrets: Path, name: str) -> None:
    assert verify(secrets / "ca.crt", forge(secrets, x509.DNSName(name))) == "OK"


@pytest.mark.parametrize(
    "name",
    [
        x509.DNSName("bank.example"),
        x509.DNSName("example.org"),
        x509.DNSName("*.example.org"),
        x509.IPAddress(ipaddress.ip_address("10.0.0.12")),
        x509.IPAddress(ipaddress.ip_address("fd00::11")),
    ],
)
def test_it_may_sign_no_other(secrets: Path, name: x509.GeneralName) -> None:
    assert "permitted subtree violation" in verify(secrets / "ca.crt", forge(secrets, name))


def test_a_new_name_widens_the_authority_and_breaks_nothing(tmp_path: Path) -> None:
    """Its key stays, so that what it signed before is good with the new one, and people may import that later."""
    sign(tmp_path, {"web1": {}})
    secrets = tmp_path / ".secrets"
    address = forge(secrets, x509.IPAddress(ipaddress.ip_address("10.0.0.11")))
    assert "permitted subtree violation" in verify(secrets / "ca.crt", address), "where no host has any"
    earlier = secrets / "earlier.crt"
    earlier.write_bytes((secrets / "ca.crt").read_bytes())
    signed = (secrets / "internal-web1.crt").read_bytes()
    sign(tmp_path, {"web1": {}, "web2": {}})
    assert (secrets / "ca.crt").read_bytes() != earlier.read_bytes()
    assert (secrets / "internal-web1.crt").read_bytes() == signed
    found = {name: verify(secrets / name, secrets / "internal-web1.crt") for name in ("ca.crt", "earlier.crt")}
    assert found == {"ca.crt": "OK", "earlier.crt": "OK"}
    assert verify(secrets / "ca.crt", secrets / "internal-web2.crt") == "OK"
