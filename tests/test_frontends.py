"""Front ends are packed on the controller, and come and go on hosts with the release they were released with."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.action import frontends
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from release_host import PlayedHost

DOMAIN = "app.shop.example"


def build(folder: Path, text: str) -> list[dict[str, str]]:
    """A built front end, whose script is named after its content."""
    (folder / "assets").mkdir(parents=True, exist_ok=True)
    for old in folder.glob("assets/*"):
        old.unlink()
    (folder / "index.html").write_text(f"<script src=/assets/{text}.js>")
    (folder / f"assets/{text}.js").write_text(text)
    return [{"domain": DOMAIN, "path": str(folder)}]


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    return tmp_path / "dist"


def pack(tmp_path: Path, built: list[dict[str, str]]) -> dict[str, str]:
    return frontends.pack(tmp_path / "cache", built)


def test_front_ends_are_packed_once_for_each_content(tmp_path: Path, dist: Path) -> None:
    first = pack(tmp_path, build(dist, "one"))
    # Another build of the same source.
    assert pack(tmp_path, build(dist, "one")) == first
    second = pack(tmp_path, build(dist, "two"))
    assert second["digest"] != first["digest"]
    with tarfile.open(second["archive"]) as archive:
        assert archive.getnames() == [f"{DOMAIN}/assets/two.js", f"{DOMAIN}/index.html"]


def test_another_domain_is_another_archive(tmp_path: Path, dist: Path) -> None:
    built = build(dist, "one")
    assert pack(tmp_path, [{**built[0], "domain": "other.example"}])["digest"] != pack(tmp_path, built)["digest"]


def test_without_front_ends_nothing_is_packed(tmp_path: Path) -> None:
    assert pack(tmp_path, []) == {"archive": "", "digest": ""}
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("there", [[], ["index.html"], ["assets/"]])
def test_a_folder_that_was_not_built_is_refused(tmp_path: Path, dist: Path, there: list[str]) -> None:
    dist.mkdir()
    for name in there:
        (dist / name).mkdir() if name.endswith("/") else (dist / name).touch()
    with pytest.raises(UserError, match=r"/dist, which has no index\.html and assets/: build the front end first"):
        pack(tmp_path, [{"domain": DOMAIN, "path": str(dist)}])


def test_pages_of_one_size_are_told_apart_by_their_time(tmp_path: Path, dist: Path) -> None:
    """nginx makes ETag of time and size: a browser would keep the old page where builds have a fixed time."""
    built = build(dist, "one")
    os.utime(dist / "index.html", (1, 1))
    with tarfile.open(pack(tmp_path, built)["archive"]) as archive:
        assert archive.getmember(f"{DOMAIN}/index.html").mtime > 1


class Released:
    """Releases of front ends on a host, with the release NEW of the application or with another one."""

    def __init__(self, shop: PlayedHost, tmp_path: Path, dist: Path) -> None:
        self.shop, self.tmp_path, self.dist = shop, tmp_path, dist

    def deploy(self, text: str, *steps: str) -> None:
        environment = f"{self.shop.root}/etc/{text}.env"
        Path(environment).touch()
        archive = pack(self.tmp_path, build(self.dist, text))["archive"]
        steps = steps or ("begin", "build", "switch", "finish")
        self.take(*steps, kind="deploy", release="NEW", environment=environment, frontends=archive)

    def take(self, *steps: str, **request: Any) -> None:
        for step in steps:
            self.shop.take(step, **{"tools_requirements": "", "poetry_requirements": "", **request})

    @property
    def page(self) -> str:
        return (self.shop.root / "current/frontends" / DOMAIN / "index.html").read_text()

    @property
    def scripts(self) -> list[str]:
        """What pages may load, whatever build they are of."""
        return sorted(os.listdir(self.shop.root / "frontend_files" / DOMAIN / "assets"))


@pytest.fixture
def released(shop: PlayedHost, tmp_path: Path, dist: Path) -> Released:
    shop.serve("blue")
    return Released(shop, tmp_path, dist)


def test_a_front_end_switches_and_goes_back_with_its_release(released: Released) -> None:
    released.deploy("one")
    released.deploy("two", "begin", "build")
    assert "one.js" in released.page
    # A page of another host that has switched already may ask this one.
    assert released.scripts == ["one.js", "two.js"]
    released.take("switch", "finish")
    assert "two.js" in released.page
    released.take("begin", "build", "switch", "finish", kind="rollback")
    assert "one.js" in released.page
    assert released.scripts == ["one.js", "two.js"]


def test_front_ends_that_are_here_are_not_sent_again(released: Released) -> None:
    released.deploy("one")
    environment = f"{released.shop.root}/etc/one.env"
    begun = released.shop.take("begin", kind="deploy", release="OLD", environment=environment)
    assert begun["has_frontends"]


def test_a_front_end_goes_with_the_last_release_that_served_it(released: Released) -> None:
    released.deploy("one")
    released.deploy("two")
    os.utime(released.shop.root / "frontend_files" / DOMAIN / "assets/one.js", (1, 1))
    for name in ("LATER", "LATEST"):
        released.shop.add_release(name)
        released.take("begin", "build", "switch", "finish", kind="deploy", release=name, retention_count=2)
    # The two releases that stay were released without a front end.
    assert sorted(os.listdir(released.shop.root / "frontends")) == ["1"]
    assert released.scripts == ["two.js"]


def test_what_a_killed_build_left_is_made_anew(released: Released) -> None:
    (released.shop.root / "frontends/one.new/half").mkdir(parents=True)
    released.deploy("one")
    assert "one.js" in released.page
    assert sorted(os.listdir(released.shop.root / "frontends")) == ["one"]
