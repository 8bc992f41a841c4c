"""Fixtures of tests that release to all web hosts, for their `pytest_plugins`."""

from collections.abc import Iterator
from pathlib import Path

import inventory
import pytest
from releases import Cluster, look, make_source
from support import MACHINES, Site

GOOD = ("head", "good", "better")


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A clone of this repository with releases to make, and their names by tag."""
    folder = tmp_path_factory.mktemp("source") / "clone"
    return folder, make_source(folder)


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, source: tuple[Path, dict[str, str]]) -> Iterator[Cluster]:
    """All web hosts, which run the latest commit at the end."""
    hosts = [machine for machine in request.config.stash[MACHINES] if "web" in inventory.groups(machine)]
    sites = [Site.on(host) for host in hosts]
    cluster = Cluster(request.config.getoption("ansible_inventory"), hosts, sites, *source)
    yield cluster
    make_good(cluster)
    assert cluster.deploy("head").process.returncode == 0


@pytest.fixture
def base(cluster: Cluster) -> Cluster:
    """The hosts on one good release that brings no migration."""
    make_good(cluster)
    return cluster


@pytest.fixture
def migrated(cluster: Cluster) -> Cluster:
    """The hosts on the release "new column", which they switched to from a good one."""
    if not cluster.serves("new column"):
        make_good(cluster)
        done = cluster.deploy("new column")
        assert done.process.returncode == 0, done.output
    return cluster


def make_good(cluster: Cluster) -> None:
    if cluster.now in GOOD and cluster.serves(cluster.now):
        return
    here = look(cluster.hosts[0])["releases"]
    release = next((cluster.names[name] for name in GOOD if cluster.names[name] in here), cluster.names["head"])
    back = {"release_target": release, "release_reverse_migrations_enabled": True}
    done = cluster.rollback(**back)
    if done.process.returncode:
        done = cluster.deploy("head")
    assert done.process.returncode == 0, done.output
