"""Certificates for tests, made in memory."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime.datetime(2026, 11, 26, 12, tzinfo=datetime.timezone.utc)


@dataclass(frozen=True)
class Signed:
    """A certificate, with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def chain(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def key_text(self, passphrase: str = "") -> str:
        hidden = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else None
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            hidden or serialization.NoEncryption(),
        ).decode()


def sign(
    subject: str,
    *names: str,
    issuer: Signed | None = None,
    begin: datetime.datetime = NOW - datetime.timedelta(days=1),
    days: float = 90,
) -> Signed:
    """A certificate of an issuer, or one that signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    by = issuer.certificate.subject if issuer else name
    builder = x509.CertificateBuilder(by, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=days))
    if names:
        san = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(san, critical=False)
    return Signed(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)
