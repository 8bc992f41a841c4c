"""What a release changes, decided from the answers of all hosts."""

from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release.plan import Host, Plan


def plan(*hosts: Host, action: str = "deploy", elsewhere: Sequence[dict[str, Any]] = ()) -> Plan:
    return Plan(action, hosts, elsewhere)


def running(name: str, release: str = "R1", commit: str = "c1", **answers: Any) -> Host:
    return Host(name, read={"release": release, "commit": commit, "holder": None}, **answers)


def bare(name: str) -> Host:
    return Host(name, read={"release": None, "commit": None, "holder": None})


@pytest.mark.parametrize(
    ("hosts", "elsewhere", "commit", "kept"),
    [
        ([running("web1"), running("web2")], [], "c1", True),
        ([bare("web1"), running("web2")], [], "c1", False),
        ([bare("web1"), bare("web2")], [], "", False),
        ([bare("web1")], [{"release": "R2", "commit": "c2"}], "c2", False),
        ([bare("web1")], [{"release": None}, {"unreachable": True}], "", False),
    ],
    ids=["all run it", "one is new", "all are new", "the run is limited to a new one", "nobody has any"],
)
def test_a_new_host_gets_what_the_others_have(
    hosts: list[Host],
    elsewhere: list[dict[str, Any]],
    commit: str,
    kept: bool,
) -> None:
    decided = plan(*hosts, action="converge", elsewhere=elsewhere).decisions()
    assert (decided["commit"], decided["kept"]) == (commit, kept)


@pytest.mark.parametrize("action", ["deploy", "rollback"])
def test_a_deploy_never_keeps_what_runs(action: str) -> None:
    assert not plan(running("web1"), action=action).decisions()["kept"]


def test_only_hosts_that_need_it_change_in_the_order_of_the_inventory() -> None:
    hosts = [Host(name, begun={"needed": needed}) for name, needed in (("b", True), ("a", False), ("c", True))]
    assert plan(*hosts).decisions()["changing"] == ["b", "c"]


def test_nothing_changes_before_a_host_was_asked() -> None:
    decided = plan(Host("web1")).decisions()
    assert (decided["changing"], decided["reversing"]) == ([], [])


@pytest.mark.parametrize(
    ("answers", "reversing"),
    [
        ({"begun": {"needed": True}, "built": {"reverse": [["users", "0001"]]}}, ["web1"]),
        ({"begun": {"needed": False, "reverse": [["users", "0001"]]}}, ["web1"]),
        ({"begun": {"needed": True}, "built": {"reverse": []}}, []),
    ],
    ids=["this rollback", "one that was killed", "none"],
)
def test_what_is_reversed(answers: dict[str, Any], reversing: list[str]) -> None:
    assert plan(Host("web1", **answers), action="rollback").decisions()["reversing"] == reversing


def test_hosts_that_share_a_database_are_summed_up_once() -> None:
    hosts = [Host(name, built={"summary": text}) for name, text in (("a", "  migrates x"), ("b", "  migrates x"))]
    assert plan(*hosts, Host("c", built={"summary": ""})).decisions()["summary"] == "  migrates x"


def test_a_rollback_to_several_releases_is_refused() -> None:
    hosts = [Host("web1", begun={"release": "R1"}), Host("web2", begun={"release": "R2"})]
    with pytest.raises(UserError, match=r"The hosts would go back to R1, R2: name one release, RELEASE=\.\.\."):
        plan(*hosts, action="rollback").decisions()
    assert plan(*hosts).decisions()
    assert plan(hosts[0], hosts[0], action="rollback").decisions()


def test_who_is_locked_is_known() -> None:
    locked = Host("web2", read={"holder": {"who": "ada"}})
    assert plan(running("web1"), locked).decisions()["locked"] == ["web2"]


def test_a_failure_is_told_with_the_step_the_reason_and_the_last_line_of_the_journal() -> None:
    failed = Host(
        "web2",
        failed_task="release : build | Build it beside what runs",
        failure={"msg": "It failed.", "journal": ["first", "last"]},
        aborted={"summary": "web2 serves R1."},
    )
    decided = plan(Host("web1", aborted={"summary": "web1 serves R1."}), failed).decisions()
    assert decided["failed_step"] == "Build it beside what runs"
    assert decided["reason"] == "It failed. last"
    assert decided["outcome"] == "web1 serves R1. web2 serves R1."


def test_a_host_that_could_not_be_put_back_is_named_with_the_reason() -> None:
    """It was said that nothing was changed."""
    failed = Host(
        "web2", failure={"msg": "It failed."}, aborted={"failed": False, "msg": "Read-only file system: /srv."}
    )
    decided = plan(Host("web1", aborted={"summary": "web1 serves R1."}), failed).decisions()
    assert decided["outcome"] == (
        "web1 serves R1. web2 could not be put back (Read-only file system: /srv): the next run does that."
    )


def test_the_last_line_of_the_journal_is_said_once() -> None:
    failed = Host("web1", failure={"msg": "It ended: KeyError: 'A'.", "journal": ["first", "KeyError: 'A'"]})
    assert plan(failed).decisions()["reason"] == "It ended: KeyError: 'A'."


def test_a_host_that_is_away_is_the_reason_where_no_task_failed() -> None:
    decided = plan(Host("web1")).decisions()
    assert (decided["failed_step"], decided["reason"]) == ("", "A host could not be reached.")
    assert decided["outcome"] == "Nothing was changed."
