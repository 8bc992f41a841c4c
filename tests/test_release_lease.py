"""Who may change the releases of a host."""

import os
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release.lease import LEASE_SECONDS, Lease


@pytest.fixture
def lease(tmp_path: Path) -> Lease:
    return Lease(str(tmp_path))


def test_nobody_has_a_lock_that_was_never_taken(lease: Lease) -> None:
    assert lease.holder() is None


def test_a_lock_says_who_has_it_for_what_since_when(lease: Lease) -> None:
    lease.take("token", "ada@laptop", "deploy of A")
    holder = lease.holder()
    assert holder
    assert (holder["who"], holder["what"]) == ("ada@laptop", "deploy of A")
    assert holder["since"].endswith("+00:00")


def test_a_lock_that_nothing_renews_ends(lease: Lease) -> None:
    lease.take("token", "ada@laptop", "deploy of A")
    past = time.time() - LEASE_SECONDS - 1
    os.utime(lease.path, (past, past))
    assert lease.holder() is None


def test_every_step_renews_the_lock(lease: Lease) -> None:
    lease.take("token", "ada@laptop", "deploy of A")
    os.utime(lease.path, (1, 1))
    lease.require("token")
    assert lease.holder()


def test_a_run_whose_lock_was_taken_away_stops(lease: Lease) -> None:
    with pytest.raises(UserError, match="taken away"):
        lease.require("token")


def test_a_run_whose_lock_somebody_else_has_stops(lease: Lease) -> None:
    lease.take("other", "bob@desk", "deploy of B")
    with pytest.raises(UserError, match="bob@desk"):
        lease.require("token")
