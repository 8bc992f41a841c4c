"""What is wrong with a certificate is said before anything changes, by the tasks of the preflight."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import plays
import pytest
from certificate_files import sign

ALONE = sign("shop.example", "shop.example", begin=datetime.datetime.now(datetime.timezone.utc))


def preflight(folder: Path, **given: Any) -> str:
    """What the tasks say of the names and sources that `given` has."""
    known = {"project_name": "shop", "project_domain": "shop.example", "project_admins": []}
    task = {"ansible.builtin.import_role": {"name": "certificates", "tasks_from": "preflight"}}
    return plays.run(folder, [plays.play(task, **(known | given))])[1]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"certificates_source": "acme", "certificates_names": ["localhost", "typo.invalid"]},
            "typo.invalid is not in DNS: let it lead to the web hosts, or take it from certificates_names. Nothing was",
        ),
        ({"certificates_source": "acme", "certificates_names": ["localhost"]}, " 0 failed"),
        (
            {"certificates_source": "acme", "certificates_names": ["*.shop.example"]},
            "certificates_names has *.shop.example, which an ACME server proves by DNS only: set",
        ),
        (
            {
                **{"certificates_source": "acme", "certificates_names": ["*.shop.example"]},
                "certificates_acme_hook_path": "/home/ada/hook",
            },
            " 0 failed",
        ),
        (
            {
                **{"certificates_source": "provided", "certificates_names": ["shop.example"]},
                **{"certificates_provided_chain": ALONE.chain, "certificates_provided_key": ALONE.key_text()},
            },
            "CN=shop.example in certificates_provided_chain signed itself: get one of an authority. Nothing was",
        ),
        ({"certificates_source": "self_signed", "certificates_names": ["typo.invalid"]}, " 0 failed"),
    ],
)
def test_what_no_certificate_can_come_of_is_refused(tmp_path: Path, given: dict[str, Any], sentence: str) -> None:
    assert sentence in preflight(tmp_path, **given)
