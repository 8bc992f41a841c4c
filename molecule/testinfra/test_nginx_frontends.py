"""Front ends that nginx serves on names of their own."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from support import FOR_GOOD, HSTS, Site

pytestmark = [pytest.mark.slipway, pytest.mark.group("web"), pytest.mark.units("nginx", "slipway-web@*")]


@pytest.mark.parametrize("path", ["/", "/a/page/of/the/app"])
def test_every_path_of_a_front_end_is_its_page(frontends: list[tuple[Site, Path]], path: str) -> None:
    for frontend, build in frontends:
        answer = frontend.get(path)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html")
        assert answer.body == build.joinpath("index.html").read_bytes()
        assert answer.headers.get_all("Cache-Control") == ["no-cache"]


def test_what_a_front_end_loads_is_kept_by_browsers_for_good(frontends: list[tuple[Site, Path]]) -> None:
    for frontend, build in frontends:
        script = next(build.glob("assets/*.js"))
        answer = frontend.get(f"/assets/{script.name}", headers={"Accept-Encoding": "gzip"})
        assert gzip.decompress(answer.body) == script.read_bytes()
        assert answer.headers.get_all("Cache-Control") == [FOR_GOOD]
        assert frontend.get("/assets/gone.js").status == 404


def test_a_front_end_learns_where_the_api_is(frontends: list[tuple[Site, Path]], site: Site) -> None:
    for frontend, _ in frontends:
        assert frontend.get("/config.json").json == {"api": site.origin}


def test_a_front_end_may_load_from_nowhere_else(frontends: list[tuple[Site, Path]], site: Site) -> None:
    for frontend, _ in frontends:
        answer = frontend.get("/")
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["connect-src"] == f"'self' {site.origin}"
        assert policy["frame-ancestors"] == "'none'"
        assert answer.headers.get_all("Strict-Transport-Security") == [HSTS]
