"""A certificate of the operator is refused for whatever browsers would refuse it for, before it replaces another."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.slipway.host.plugins.plugin_utils import certificates
from certificate_files import NOW, Signed, sign

DAY = datetime.timedelta(days=1)
ROOT = sign("Root", days=9000)
MIDDLE = sign("Middle", issuer=ROOT, days=900)
SITE = sign("shop.example", "shop.example", "*.shop.example", issuer=MIDDLE)
OLD_MIDDLE = sign("Middle", issuer=ROOT, begin=NOW - 900 * DAY, days=800)
EXPIRED = sign("shop.example", "shop.example", issuer=MIDDLE, begin=NOW - 90 * DAY)
EARLY = sign("shop.example", "shop.example", issuer=MIDDLE, begin=NOW + DAY)
ALONE = sign("shop.example", "shop.example")
NAMELESS = sign("shop.example", issuer=MIDDLE)


def problems(*chain: Signed, key: str | None = None, names: tuple[str, ...] = ("shop.example",)) -> str:
    text = "".join(each.chain for each in chain)
    found = certificates.problems(text, key or chain[0].key_text(), names, NOW, [ROOT.certificate])
    return " ".join(found)


@pytest.mark.parametrize("names", [("shop.example",), ("app.shop.example",), ("shop.example", "*.shop.example")])
def test_a_good_one_passes(names: tuple[str, ...]) -> None:
    assert problems(SITE, MIDDLE, names=names) == ""


def test_the_authority_may_be_in_the_chain_where_this_machine_does_not_know_it() -> None:
    private = sign("Private")
    assert problems(sign("shop.example", "shop.example", issuer=private), private) == ""


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (ALONE.key_text(), "certificates_provided_key is not the key of CN=shop.example, the first certificate in"),
        (SITE.key_text("secret"), "certificates_provided_key has a passphrase, which nginx cannot type: take it off"),
        ("no key", "certificates_provided_key is no private key: write the text of its file"),
    ],
)
def test_a_key_that_does_not_fit_is_refused(key: str, sentence: str) -> None:
    assert problems(SITE, MIDDLE, key=key).startswith(sentence)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("bank.example", "is for shop.example, *.shop.example, and not for bank.example: get one for all names"),
        ("a.b.shop.example", "and not for a.b.shop.example:"),
        ("*.a.shop.example", "and not for *.a.shop.example:"),
    ],
)
def test_a_name_that_it_is_not_for_is_named(name: str, sentence: str) -> None:
    assert sentence in problems(SITE, MIDDLE, names=("shop.example", name))


def test_one_without_names_is_refused() -> None:
    assert "is for no name, and not for shop.example:" in problems(NAMELESS, MIDDLE)


@pytest.mark.parametrize(
    ("chain", "sentence"),
    [
        ((EXPIRED, MIDDLE), "CN=shop.example in certificates_provided_chain ended on 2026-11-26"),
        ((EARLY, MIDDLE), "CN=shop.example in certificates_provided_chain begins on 2026-11-27"),
        ((SITE,), "certificates_provided_chain ends with CN=shop.example, whose authority CN=Middle this machine does"),
        ((SITE, ROOT), "CN=shop.example in certificates_provided_chain is not signed by CN=Root, which follows it"),
        ((ALONE,), "CN=shop.example in certificates_provided_chain signed itself"),
    ],
)
def test_a_chain_that_browsers_refuse_is_refused(chain: tuple[Signed, ...], sentence: str) -> None:
    found = problems(*chain)
    assert found.startswith(sentence)
    assert found.count(": ") == 1, "one thing is wrong"


def test_a_middle_that_has_ended_is_named() -> None:
    old = sign("shop.example", "shop.example", issuer=OLD_MIDDLE)
    assert problems(old, OLD_MIDDLE).startswith("CN=Middle in certificates_provided_chain ended on 2026-08-")


def test_text_that_is_no_certificate_is_refused() -> None:
    found = " ".join(certificates.problems("", "", ["shop.example"], NOW, []))
    assert found.startswith("certificates_provided_chain is no certificate: write the text of its file")


def test_this_machine_knows_public_authorities() -> None:
    assert len(list(certificates.read_roots())) > 50
