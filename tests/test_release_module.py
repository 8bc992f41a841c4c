"""What the module does in front of the engine: it refuses a step without its options, and says what went wrong."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.slipway.host.plugins.modules import release
from release_host import ME, PROJECT, PlayedHost


@pytest.fixture(autouse=True)
def _keep_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "nice", lambda increment: 0)


def answer(capsys: pytest.CaptureFixture[str], step: str, root: object = "/nowhere", **request: Any) -> dict[str, Any]:
    arguments = {"step": step, "project": {**PROJECT, "root": str(root)}, **request}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        release.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(
    ("step", "request_", "missing"),
    [
        ("begin", {"owner": ME}, "step is begin but all of the following are missing: kind, release"),
        ("begin", {"owner": ME, "kind": "converge", "release": ""}, "kind is converge but all .* missing: environment"),
        ("begin", {"owner": ME, "kind": "deploy", "release": ""}, "kind is deploy but all .* missing: environment"),
        ("build", {"owner": ME, "release": "A"}, "step is build but all .* missing: .*breaking_migrations_enabled"),
        ("migrate", {"owner": ME}, "step is migrate but all .* missing: attempts_count"),
        ("finish", {"owner": ME, "retention_count": 1}, "step is finish but all .* missing: static_retention_days"),
        ("abort", {"owner": ME, "reason": ""}, "step is abort but all .* missing: failed_step"),
        ("unlock", {}, "step is unlock but all .* missing: break_token"),
    ],
)
def test_a_step_without_its_options_is_refused(
    capsys: pytest.CaptureFixture[str], step: str, request_: dict[str, Any], missing: str
) -> None:
    result = answer(capsys, step, **request_)
    assert result["failed"]
    assert re.search(missing, result["msg"])


def test_a_rollback_needs_no_environment(capsys: pytest.CaptureFixture[str], shop: PlayedHost) -> None:
    shop.serve("blue")
    result = answer(capsys, "begin", shop.root, owner=ME, kind="rollback", release="")
    assert "no earlier good release" in result["msg"]


def test_a_refusal_is_told_with_the_journal(capsys: pytest.CaptureFixture[str], shop: PlayedHost) -> None:
    shop.serve("blue")
    shop.is_tried()
    shop.systemd.failing.add("shop-web@green.service")
    result = answer(capsys, "switch", shop.root, owner=ME)
    assert result["msg"] == "shop-web@green.service failed to start: it said why."
    assert result["journal"] == ["it said why"]


def test_what_the_system_refuses_is_told_with_the_file(capsys: pytest.CaptureFixture[str], shop: PlayedHost) -> None:
    shop.serve("blue")
    shop.is_tried()
    (shop.root / "slots/green/definitions").unlink()
    (shop.root / "slots/green/definitions").mkdir()
    result = answer(capsys, "switch", shop.root, owner=ME)
    assert (result["msg"], result["journal"]) == (f"Is a directory: {shop.root}/slots/green/definitions.", [])


def test_a_result_says_whether_anything_changed(capsys: pytest.CaptureFixture[str], shop: PlayedHost) -> None:
    shop.serve("blue")
    assert answer(capsys, "read", shop.root)["changed"] is False
    shop.is_tried()
    assert answer(capsys, "abort", shop.root, owner=ME, reason="", failed_step="")["changed"] is True
