"""Static files, of the running release and of earlier ones."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator

import pytest
from support import FOR_GOOD, HSTS, Site
from testinfra.host import Host

pytestmark = [pytest.mark.slipway, pytest.mark.group("web"), pytest.mark.units("nginx", "slipway-web@*")]

CURRENT = "/srv/slipway/current/release/staticfiles"
EARLIER = "/srv/slipway/static"


@pytest.fixture(scope="module")
def stylesheet(site: Site) -> str:
    """The path of the style sheet that Django's admin asks for."""
    page = site.get("/admin/login/").body.decode()
    found = re.search(r'href="(/static/admin/css/base\.[0-9a-f]+\.css)"', page)
    assert found, "the page names no style sheet"
    return found[1]


def test_static_files_are_served_compressed(site: Site, stylesheet: str) -> None:
    answer = site.get(stylesheet, headers={"Accept-Encoding": "gzip"})
    assert answer.status == 200
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert b"{" in gzip.decompress(answer.body)


def test_static_files_are_served_plain_to_who_asks_for_that(site: Site, stylesheet: str) -> None:
    answer = site.get(stylesheet, headers={"Accept-Encoding": "identity"})
    assert answer.status == 200
    assert answer.headers["Content-Encoding"] is None
    assert answer.headers["Content-Type"] == "text/css"


def test_static_files_are_kept_by_browsers_for_good(site: Site, stylesheet: str) -> None:
    answer = site.get(stylesheet)
    assert answer.headers.get_all("Cache-Control") == [FOR_GOOD]
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]


def test_a_static_file_that_a_release_may_change_is_asked_for_anew(site: Site) -> None:
    path = "/static/admin/css/base.css"
    answer = site.get(path)
    assert (answer.status, answer.headers.get_all("Cache-Control")) == (200, ["no-cache"])
    again = site.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.headers.get_all("Cache-Control")) == (304, ["no-cache"])


@pytest.mark.parametrize("path", ["/static/gone.0123456789ab.css", "/static/gone.css"])
def test_a_missing_static_file_is_not_remembered(site: Site, path: str) -> None:
    answer = site.get(path)
    assert (answer.status, answer.headers["Cache-Control"]) == (404, None)


def test_static_listing_is_refused(site: Site) -> None:
    assert site.get("/static/").status in (403, 404)


@pytest.mark.parametrize(
    "path",
    [
        "/static../bin/web",
        "/static/../bin/web",
        "/static/%2e%2e/bin/web",
        "/static/..%2fbin/web",
        "/static/admin/%2e%2e/%2e%2e/.complete",
        "/static//../.complete",
        "/static/../current/environment",
    ],
)
def test_nothing_beside_the_static_files_is_served(site: Site, path: str) -> None:
    assert site.get(path).status in (400, 404)


@pytest.fixture
def static(host: Host) -> Iterator[Callable[[str, str, str], None]]:
    """A function that writes a file below one of the folders of static files; all are removed at the end."""
    written = []
    existed = host.file(EARLIER).exists

    def write(folder: str, name: str, content: str) -> None:
        host.check_output("mkdir -p %s", folder)
        host.check_output("printf %s %s >%s", "%s", content, f"{folder}/{name}")
        written.append(f"{folder}/{name}")

    yield write
    for path in written:
        host.check_output("rm %s", path)
    if not existed:
        host.run("rmdir %s", EARLIER)


@pytest.mark.destructive
@pytest.mark.parametrize(("name", "cache"), [("tested.0123456789ab.css", FOR_GOOD), ("tested.css", "no-cache")])
def test_a_static_file_of_an_earlier_release_is_still_served(
    site: Site, static: Callable[[str, str, str], None], name: str, cache: str
) -> None:
    static(EARLIER, name, "earlier")
    static(EARLIER, f"{name}.gz", "compressed")
    answer = site.get(f"/static/{name}", headers={"Accept-Encoding": "identity"})
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"earlier", "text/css")
    assert answer.headers.get_all("Cache-Control") == [cache]
    assert answer.headers.get_all("Strict-Transport-Security") == [HSTS]
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert site.get(f"/static/{name}", headers={"Accept-Encoding": "gzip"}).body == b"compressed"


@pytest.mark.destructive
def test_a_static_file_of_the_running_release_comes_first(site: Site, static: Callable[[str, str, str], None]) -> None:
    static(EARLIER, "tested.css", "earlier")
    static(CURRENT, "tested.css", "current")
    assert site.get("/static/tested.css").body == b"current"


@pytest.mark.destructive
def test_no_earlier_release_is_no_problem(host: Host, site: Site, stylesheet: str) -> None:
    host.run(f"mv {EARLIER} {EARLIER}.away")
    try:
        assert [site.get(path).status for path in (stylesheet, "/static/gone.css")] == [200, 404]
    finally:
        host.run(f"mv {EARLIER}.away {EARLIER}")


@pytest.mark.destructive
@pytest.mark.parametrize("folder", [CURRENT, EARLIER])
def test_what_hides_or_leads_elsewhere_is_not_served(
    host: Host, site: Site, static: Callable[[str, str, str], None], folder: str
) -> None:
    static(folder, ".hidden", "hidden")
    static(folder, "link.css", "")
    host.check_output(f"ln -sf /etc/hostname {folder}/link.css")
    assert [site.get(f"/static/{name}").status for name in (".hidden", "link.css")] == [404, 403]
