"""Whether a certificate that an operator has will do: all that browsers would refuse it for."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import re
import ssl
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
WHERE = "group_vars/all/certificates.yml"


def read_roots() -> Iterator[x509.Certificate]:
    """The authorities that this machine trusts, as far as they can be read: some are decades old."""
    paths = ssl.get_default_verify_paths()
    files = [Path(path) for path in (paths.cafile, f"{paths.capath}/ca-certificates.crt") if path]
    bundle = next((path.read_text() for path in files if path.exists()), "")
    for text in PEM.findall(bundle):
        with contextlib.suppress(ValueError), warnings.catch_warnings(action="ignore"):
            yield x509.load_pem_x509_certificate(text.encode())


def problems(
    chain: str, key: str, names: Sequence[str], now: datetime.datetime, roots: Sequence[x509.Certificate]
) -> Iterator[str]:
    """A sentence about each thing that is wrong."""
    try:
        certificates = x509.load_pem_x509_certificates(chain.encode())
    except ValueError:
        yield (
            "certificates_provided_chain is no certificate: write the text of its file, from -----BEGIN on, "
            f"in {WHERE}."
        )
        return
    yield from key_problems(certificates[0], key)
    yield from name_problems(certificates[0], names)
    yield from date_problems(certificates, now)
    yield from chain_problems(certificates, roots)


def key_problems(certificate: x509.Certificate, key: str) -> Iterator[str]:
    try:
        found = serialization.load_pem_private_key(key.encode(), None)
    except TypeError:
        yield "certificates_provided_key has a passphrase, which nginx cannot type: take it off with `openssl pkey`."
    except ValueError:
        yield f"certificates_provided_key is no private key: write the text of its file, as PEM, for {WHERE}."
    else:
        if found.public_key() != certificate.public_key():
            yield (
                f"certificates_provided_key is not the key of {shown(certificate)}, the first certificate in "
                "certificates_provided_chain: the site's own comes first, and the key is what it was made of."
            )


def name_problems(certificate: x509.Certificate, names: Sequence[str]) -> Iterator[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        has = [name.lower() for name in extension.value.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        has = []
    missing = [name for name in names if name not in has and "*." + name.partition(".")[2] not in has]
    if missing:
        yield (
            f"The certificate in certificates_provided_chain is for {', '.join(has) or 'no name'}, and not for "
            f"{', '.join(missing)}: get one for all names, or take them from certificates_names."
        )


def date_problems(certificates: Sequence[x509.Certificate], now: datetime.datetime) -> Iterator[str]:
    for certificate in certificates:
        end, begin = certificate.not_valid_after_utc, certificate.not_valid_before_utc
        if end <= now:
            yield f"{shown(certificate)} in certificates_provided_chain ended on {end:%F}: get a new one."
        elif begin > now:
            yield f"{shown(certificate)} in certificates_provided_chain begins on {begin:%F}: wait until then."


def chain_problems(certificates: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> Iterator[str]:
    """Each certificate is signed by the next one, and the last one by an authority, or it is an authority itself."""
    for certificate, issuer in itertools.pairwise(certificates):
        if not is_signed_by(certificate, issuer):
            yield (
                f"{shown(certificate)} in certificates_provided_chain is not signed by {shown(issuer)}, which "
                "follows it: each is followed by the one that signed it."
            )
            return
    last = certificates[-1]
    if len(certificates) == 1 and is_signed_by(last, last):
        yield f"{shown(last)} in certificates_provided_chain signed itself: get one of an authority."
    elif not any(is_signed_by(last, root) for root in (*roots, last)):
        yield (
            f"certificates_provided_chain ends with {shown(last)}, whose authority {last.issuer.rfc4514_string()} this "
            "machine does not know: append the certificates between, and the authority's own if it is a private one."
        )


def is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def shown(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or f"certificate {certificate.serial_number:x}"
