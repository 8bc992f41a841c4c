"""A lock names the process that owns it, so that anybody on the same machine can see when that is dead."""

import importlib.util
import os
import subprocess
import sys

from repository import ROOT

# Not by its name alone, which the module of the hosts has too.
SPEC = importlib.util.spec_from_file_location("release_action", ROOT / "ansible/plugins/action/release.py")
action = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(action)


def token(pid):
    return f"{action.machine()} {pid} {action.started(pid)}"


def test_the_owner_is_the_process_behind_the_tasks():
    assert action.owner()["token"] == token(os.getppid())


def test_the_owner_is_named_for_people():
    person, _, machine = action.owner()["who"].partition("@")
    assert person
    assert machine


def test_an_owner_that_lives_is_not_dead():
    assert not action.is_dead(token(os.getpid()))


def test_an_owner_that_ended_is_dead():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    given = token(process.pid)
    assert not action.is_dead(given)
    process.communicate(b"\n")
    assert action.is_dead(given)


def test_a_later_process_with_the_same_number_is_another_one():
    assert action.is_dead(f"{action.machine()} {os.getpid()} 1")


def test_nobody_knows_whether_an_owner_on_another_machine_is_dead():
    assert not action.is_dead("elsewhere 1 1")
