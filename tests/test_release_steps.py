"""A deploy and a rollback, step by step, on a host that is played, and what each step refuses."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import engine, model
from ansible_collections.slipway.host.plugins.module_utils.release.host import Host
from release_host import ME, PLAN, PROCESSES, PlayedHost, make_project

BUILT = {
    "release": "NEXT",
    "commit": "c0ffee",
    "ref": "v2",
    "tools_requirements": "uv\n",
    "poetry_requirements": "poetry\n",
}


def deploy(shop: PlayedHost, archive: str, *steps: str, **request: Any) -> list[dict[str, Any]]:
    given = {"kind": "deploy", "archive": archive, **BUILT, **request}
    return [shop.take(step, **given) for step in steps]


def rollback(shop: PlayedHost, *steps: str, **request: Any) -> list[dict[str, Any]]:
    return [shop.take(step, kind="rollback", **request) for step in steps]


# --- a deploy


def test_a_deploy_from_its_lock_to_its_end(shop: PlayedHost, archive: str, commands: list[tuple[str, ...]]) -> None:
    shop.serve("blue")
    shop.systemd.answers["build"] = {**PLAN, "pending": ["goods.0001"], "migrations": ["goods.0001"], "apps": ["goods"]}
    shop.systemd.answers["migrate"] = {"applied": ["goods.0001"]}
    begun, built, migrated = deploy(shop, archive, "begin", "build", "migrate")
    assert (begun["needed"], begun["complete"], begun["previous"]) == (True, False, "OLD")
    assert (built["pending"], built["summary"]) == (["goods.0001"], "  migrates goods.0001")
    assert migrated == {"changed": True, "applied": ["goods.0001"]}
    # Until here, visitors and workers notice nothing.
    assert shop.serving == "OLD"
    assert (shop.runs("blue"), shop.runs("green")) == (set(PROCESSES), set())
    deploy(shop, archive, "switch")
    assert shop.serving == "NEXT"
    assert (shop.runs("blue"), shop.runs("green")) == (set(), set(PROCESSES))
    deploy(shop, archive, "finish")
    assert shop.is_free
    last = shop.parts().history.latest()
    wanted = {"release": "NEXT", "commit": "c0ffee", "ref": "v2", "previous": "OLD", "by": ME["who"], "slot": "green"}
    assert wanted.items() <= last.items()
    assert (last["result"], last["migrations"]) == ("good", ["goods.0001"])


def test_a_release_is_built_whole(shop: PlayedHost, archive: str, commands: list[tuple[str, ...]]) -> None:
    shop.serve("blue")
    deploy(shop, archive, "begin", "build")
    folder = shop.root / "releases/NEXT"
    venv = (folder / ".venv").resolve()
    assert venv.parent == shop.root / "venvs"
    assert (venv / ".complete").exists()
    assert (folder / ".complete").read_text() == "RELEASE=NEXT\n"
    assert (shop.root / "static/site.css").read_text() == "NEXT"
    manifest = shop.parts().builds.manifest("NEXT")
    assert manifest
    assert (manifest["commit"], manifest["shape"]["static_folder"]) == ("c0ffee", "staticfiles")
    assert any("--require-hashes" in words and "sync" in words for words in commands)
    assert (shop.root / "slots/green/release").resolve() == folder


def test_a_release_that_is_there_is_not_built_again(
    shop: PlayedHost, archive: str, commands: list[tuple[str, ...]]
) -> None:
    shop.serve("blue")
    deploy(shop, archive, "begin", "build", release="NEW")
    # Its migrations may still be pending, and what judges them is there.
    assert {words[0].split("/")[-1] for words in commands} == {"python3", "pip"}
    assert [step for step, _ in shop.systemd.steps] == ["green check"]


def test_a_deploy_of_what_serves_does_nothing(shop: PlayedHost) -> None:
    shop.serve("blue")
    begun = shop.take("begin", kind="deploy", release="OLD")
    assert (begun["changed"], begun["needed"]) == (False, False)
    assert shop.is_free


def test_django_is_told_what_it_needs_to_know(shop: PlayedHost) -> None:
    shop.add_release("LINTED", apps=["goods", "users"])
    shop.point("blue", "LINTED")
    shop.serve("blue")
    shop.is_tried()
    shop.take("migrate", attempts_count=3)
    (step, settings), *_ = shop.systemd.steps
    wanted = {"PGOPTIONS": "-c lock_timeout=1000", "LINTED_APPS": "goods users", "PROJECT_DOMAIN": "shop.example"}
    assert step == "green migrate"
    assert {**wanted, "ATTEMPTS": "3", "STATIC_FOLDER": "staticfiles"}.items() <= settings.items()


def test_a_step_of_django_that_fails_is_told_with_its_journal(shop: PlayedHost) -> None:
    shop.serve("blue")
    shop.is_tried()
    shop.systemd.failing.add("shop-release@green.service")
    with pytest.raises(UserError, match=r"Release NEW failed in the step `migrate`: it said why\."):
        shop.take("migrate")
    assert "it said why" in (shop.root / "logs/2-NEW.log").read_text()


def test_why_django_refuses_a_step_comes_before_the_journal(shop: PlayedHost) -> None:
    shop.serve("blue")
    shop.is_tried()
    shop.systemd.answers["migrate"] = {"refused": "The first line.\nThe second."}
    shop.systemd.failing.add("shop-release@green.service")
    with pytest.raises(UserError, match=r"`migrate`: The first line\.\nThe second\.$") as refused:
        shop.take("migrate")
    assert refused.value.journal == ["it said why"]


# --- what a build refuses


FINDING = {"text": "goods.0003: drops a column", "refused": True}
NOTE = {"text": "goods.0004: takes a moment", "refused": False}


@pytest.mark.parametrize("step", ["build", "check"])
def test_a_migration_that_breaks_what_runs_is_refused(
    shop: PlayedHost, archive: str, commands: list[tuple[str, ...]], step: str
) -> None:
    release = {"build": "NEXT", "check": "NEW"}[step]
    shop.serve("blue")
    # What was built once is only checked the second time.
    shop.systemd.answers.update({each: {**PLAN, "findings": [FINDING, NOTE]} for each in (step, "check")})
    deploy(shop, archive, "begin", release=release)
    with pytest.raises(UserError, match=r"would break the release .*:\ngoods\.0003: drops a column\nWrite it as"):
        deploy(shop, archive, "build", release=release)
    built = deploy(shop, archive, "build", release=release, breaking_migrations_enabled=True)[0]
    assert built["summary"] == "  needs BREAKING=yes: goods.0003: drops a column\n  note: goods.0004: takes a moment"


def test_a_file_of_requirements_that_is_not_there_is_refused(
    shop: PlayedHost, archive: str, commands: list[tuple[str, ...]]
) -> None:
    shop.serve("blue")
    deploy(shop, archive, "begin")
    with pytest.raises(UserError, match=r"The release has no uv\.lock: commit it, or name another"):
        shop.take("build", {"requirements_file": "uv.lock"}, archive=archive, **BUILT)


def test_a_server_that_is_not_installed_is_refused(
    shop: PlayedHost, archive: str, commands: list[tuple[str, ...]]
) -> None:
    shop.serve("blue")
    deploy(shop, archive, "begin")
    with pytest.raises(UserError, match="`nice -n 1 gunicorn` needs gunicorn, which neither the project nor the host"):
        shop.take("build", {"commands": ["nice -n 1 gunicorn"]}, archive=archive, **BUILT)


def test_an_archive_that_is_damaged_is_refused(shop: PlayedHost, archive: str, commands: list[tuple[str, ...]]) -> None:
    Path(archive).write_bytes(b"no archive")
    shop.serve("blue")
    deploy(shop, archive, "begin")
    with pytest.raises(UserError, match=r"The archive release\.tar\.gz cannot be read"):
        deploy(shop, archive, "build")


# --- a rollback


@pytest.fixture
def advanced(shop: PlayedHost) -> PlayedHost:
    """NEW serves and has migrated what OLD does not know."""
    shop.add_release("NEWER", migrations=["goods.0001", "goods.0002"], leaves={"goods": "0002"}, apps=["goods"])
    shop.add_release("BASE", migrations=["goods.0001"], leaves={"goods": "0001"}, apps=["goods"])
    shop.point("blue", "BASE")
    shop.was_good("blue", "BASE")
    shop.point("green", "NEWER")
    shop.was_good("green", "NEWER")
    shop.serve("green")
    applied = {**PLAN, "applied": ["goods.0001", "goods.0002"]}
    shop.systemd.answers.update({"plan": applied, "check": applied, "build": applied})
    return shop


def test_a_rollback_past_migrations_is_refused_with_the_commands(advanced: PlayedHost) -> None:
    rollback(advanced, "begin")
    with pytest.raises(UserError) as refused:
        rollback(advanced, "build")
    assert str(refused.value) == (
        "The database has migrations that release BASE does not know: goods.0002. To reverse them, which may delete "
        "data:\n  shop-manage migrate goods 0001\nrelease_reverse_migrations_enabled=true "
        "(`make rollback REVERSE=yes`) runs this after the switch."
    )
    assert advanced.serving == "NEWER"


def test_a_deploy_of_what_does_not_know_a_migration_is_refused(advanced: PlayedHost) -> None:
    advanced.take("begin", kind="deploy", release="BASE")
    with pytest.raises(UserError, match=r"goods\.0002\. .*\n.*\ndeploy a release that has them, or reverse them first"):
        advanced.take("build", release="BASE", reverse_migrations_enabled=True)


def test_a_deploy_may_drop_an_app(advanced: PlayedHost) -> None:
    advanced.add_release("WITHOUT", apps=["users"])
    advanced.take("begin", kind="deploy", release="WITHOUT")
    assert advanced.take("build", release="WITHOUT")["reverse"] == []


def test_a_rollback_reverses_after_the_switch_with_the_code_that_can(advanced: PlayedHost) -> None:
    advanced.systemd.answers["reverse"] = {"reversed": ["goods.0002"]}
    _, built = rollback(advanced, "begin", "build", reverse_migrations_enabled=True)
    assert built["reverse"] == [["goods", "0001"]]
    assert built["summary"].startswith("  reverses goods to 0001\n  What is reversed is not judged")
    rollback(advanced, "switch")
    assert advanced.serving == "BASE"
    assert rollback(advanced, "reverse") == [{"changed": True, "reversed": ["goods.0002"]}]
    rollback(advanced, "finish")
    steps = [(step, settings.get("TARGETS")) for step, settings in advanced.systemd.steps]
    assert steps == [("blue plan", None), ("green reversible", "goods=0001"), ("green reverse", "goods=0001")]
    assert advanced.is_free


@pytest.mark.parametrize(
    ("release", "sentence"),
    [
        ("NOWHERE", r"Release NOWHERE never ran well on this host\. Those that did: NEWER, BASE, OLD\."),
        (
            "GONE",
            r"Release GONE or the configuration it ran with is no longer on .* deploy it again \(REF=GONE",
        ),
    ],
)
def test_a_rollback_to_what_is_not_there_is_refused(advanced: PlayedHost, release: str, sentence: str) -> None:
    if release == "GONE":
        advanced.was_good("green", "GONE", environment="gone.env", commit="GONE")
        sentence = sentence.replace("NEWER", "GONE, NEWER")
    with pytest.raises(UserError, match=sentence):
        rollback(advanced, "begin", release=release)


def test_a_first_release_has_no_way_back(shop: PlayedHost) -> None:
    shop.serve("blue")
    with pytest.raises(UserError, match="There is no earlier good release on this host to go back to"):
        rollback(shop, "begin")


# --- the end


def test_the_present_release_and_the_one_before_stay_however_few_may(shop: PlayedHost) -> None:
    shop.was_good("green", "NEW")
    shop.serve("green")
    shop.add_release("ANCIENT")
    shop.is_tried()
    assert shop.take("finish", retention_count=1)["pruned"] == ["ANCIENT"]
    assert sorted(os.listdir(shop.root / "releases")) == ["NEW", "OLD"]
    assert shop.is_free


def test_as_many_releases_stay_as_are_to(shop: PlayedHost) -> None:
    for name in ("A", "B", "C"):
        shop.add_release(name)
        shop.was_good("green", name)
    shop.point("green", "C")
    shop.serve("green")
    shop.is_tried()
    assert shop.take("finish", retention_count=3)["pruned"] == ["NEW", "OLD"]
    assert sorted(os.listdir(shop.root / "releases")) == ["A", "B", "C"]


def test_what_is_not_removed_is_a_warning(shop: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.serve("blue")
    shop.is_tried()

    (shop.root / "venvs/old").mkdir(parents=True)

    def fail(path: str, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise OSError(30, "Read-only file system", path)

    monkeypatch.setattr("shutil.rmtree", fail)
    left = shop.root / "venvs/old"
    assert shop.take("finish")["warnings"] == [f"Old releases were not all removed: Read-only file system: {left}."]
    assert shop.is_free


# --- who may


@pytest.mark.parametrize("step", ["build", "migrate", "switch", "reverse", "finish"])
def test_a_step_without_the_lock_is_refused(shop: PlayedHost, step: str) -> None:
    shop.serve("blue")
    shop.is_tried()
    shop.parts().lease.take("elsewhere 1 1", "bob@desk", "deploy of NEW")
    with pytest.raises(UserError, match=r"taken away from this run, so it stops here\. bob@desk has it now"):
        shop.take(step)
    assert shop.serving == "OLD"


def test_a_slot_that_another_run_built_is_not_switched_to(shop: PlayedHost) -> None:
    shop.serve("blue")
    shop.is_tried(slot=None)
    with pytest.raises(UserError, match="The idle slot was not built by this run"):
        shop.take("switch")


def test_a_step_that_still_runs_holds_the_next_one_up(shop: PlayedHost) -> None:
    with open(os.open(shop.root / "lock", os.O_CREAT | os.O_WRONLY), "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        request = model.Request(step="begin", owner=ME, kind="converge", release="OLD")
        answer = engine.take_step(shop.parts(), request)["held"]
    assert (answer["who"], answer["what"]) == ("a run", "a step that still runs")
    assert "token" not in answer


def test_a_host_that_was_never_provisioned_is_refused(shop: PlayedHost, tmp_path: Path) -> None:
    (tmp_path / "units/shop-release@.service").unlink()
    with pytest.raises(UserError, match=r"never provisioned: run ansible/site\.yml"):
        shop.take("begin", kind="deploy", release="NEW")
    missing = Host(make_project(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"never provisioned: run ansible/site\.yml"):
        engine.take_step(missing, model.Request(step="switch", owner=ME))


@pytest.mark.parametrize("kind", ["deploy", "rollback"])
def test_a_host_that_was_not_provisioned_to_the_end_is_refused(shop: PlayedHost, kind: str) -> None:
    """Such a deploy once ended well, and nginx answered nobody."""
    shop.serve("blue")
    (shop.root / "etc/site.fact").unlink()
    with pytest.raises(UserError, match=r"nginx serves no site of this project here.*: run ansible/site\.yml"):
        shop.take("begin", kind=kind, release="OLD")
    assert shop.take("begin", kind="converge", release="OLD")["needed"] is False
    assert shop.take("begin", {"processes": ["worker"]}, kind="deploy", release="NEW")["needed"] is True


def test_a_process_without_its_unit_is_refused(shop: PlayedHost) -> None:
    with pytest.raises(UserError, match="application_processes has mailer, which this host does not have yet"):
        shop.take("begin", {"processes": ["web", "mailer"]}, kind="deploy", release="NEW")


def test_a_package_that_the_host_does_not_have_is_refused_before_the_lock(shop: PlayedHost) -> None:
    shop.serve("blue")
    shop.systemd.packages = "installed libpq-dev \ninstalled libjpeg62-dev libjpeg-dev (= 1:2.1), lib3\nremoved gdal \n"
    project = {"packages": ["libpq-dev=15.1", "libjpeg-dev", "gdal", "libmagic1"]}
    with pytest.raises(UserError, match="application_packages has gdal, libmagic1, which this host does not have yet"):
        shop.take("begin", project, kind="deploy", release="NEW")
    assert shop.is_free
    assert shop.take("begin", {"packages": ["libjpeg-dev"]}, kind="deploy", release="NEW")["needed"]


def test_what_serves_and_who_holds_the_lock_is_read(shop: PlayedHost) -> None:
    shop.serve("blue")
    shop.is_tried()
    answer = shop.take("read")
    assert (answer["release"], answer["commit"], answer["holder"]["who"]) == ("OLD", "OLD", "ada@desk")
    assert [record["release"] for record in answer["history"]] == ["OLD"]
