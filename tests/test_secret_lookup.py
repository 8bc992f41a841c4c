"""The lookup `secret` generates once, whole, and readable by its owner alone."""

import importlib.util
from concurrent.futures import ThreadPoolExecutor

from repository import ROOT

SPEC = importlib.util.spec_from_file_location("secret", ROOT / "ansible/plugins/lookup/secret.py")
lookup = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(lookup)


def test_a_secret_is_generated_once_and_kept(tmp_path):
    first = lookup.secret(tmp_path / ".secrets", "key")
    assert len(first) == 50
    assert lookup.secret(tmp_path / ".secrets", "key") == first
    assert lookup.secret(tmp_path / ".secrets", "other") != first


def test_only_its_owner_may_read_it(tmp_path):
    lookup.secret(tmp_path / ".secrets", "key")
    assert (tmp_path / ".secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / ".secrets/key").stat().st_mode & 0o777 == 0o600


def test_many_at_once_agree(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: lookup.secret(tmp_path / ".secrets", "key"), range(64)))
    assert len(found) == 1


def test_what_a_killed_run_left_behind_is_no_secret(tmp_path):
    (tmp_path / ".secrets").mkdir()
    (tmp_path / ".secrets/.key.123").touch()
    assert len(lookup.secret(tmp_path / ".secrets", "key")) == 50


def test_a_file_system_without_links_keeps_secrets_too(tmp_path, monkeypatch):
    def link(*_):
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(lookup.os, "link", link)
    first = lookup.secret(tmp_path / ".secrets", "key")
    assert len(first) == 50
    assert lookup.secret(tmp_path / ".secrets", "key") == first
    assert [path.name for path in (tmp_path / ".secrets").iterdir()] == ["key"]


def test_a_secret_of_the_operator_is_taken_as_it_is(tmp_path):
    (tmp_path / ".secrets").mkdir()
    (tmp_path / ".secrets/key").write_text("given\n")
    assert lookup.secret(tmp_path / ".secrets", "key") == "given"
