"""The API from pages in a real browser: those that may use it, and those that may not.

Each host serves the same front end: one on the API's own site, one on a foreign site.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import inventory
import pytest
from browser import Visitor, somebody_elses_server, trust
from browser_scripts import FETCH, LOGOUTS, attempt, framed, json_login, text_logins
from playwright.sync_api import Cookie, Page, Playwright, expect
from support import Administrator, Secret, Site
from testinfra.host import Host

pytest_plugins = ["browser_fixtures"]
pytestmark = [pytest.mark.destructive, pytest.mark.group("web"), pytest.mark.units("nginx", "slipway-web@*")]

SAME_SITE = {"https://app.slipway.test": "Lax", "https://app.another.test": "None"}
HOSTILE = "https://evil.test"
LOGIN, ME, LOGOUT = "/api/auth/login/", "/api/auth/me/", "/api/auth/logout/"
PEOPLE = (
    "from django.contrib.auth import get_user_model; User = get_user_model(); "
    'emails = [f"person{number:02}@browser.test" for number in range(30)]; '
)


# --- browsers ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def api(site: Site) -> str:
    return site.origin


@pytest.fixture(scope="module")
def frontend(host: Host, site: Site) -> str:
    """The origin of the front end that this host serves."""
    (served,) = inventory.variables(host)["project_frontends"]
    return site.beside(served["domain"]).origin


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, frontend: str) -> Iterator[tuple[str, Path]]:
    """A server of a page that this project knows nothing of."""
    names = [origin.removeprefix("https://") for origin in (HOSTILE, frontend)]
    with somebody_elses_server(tmp_path_factory.mktemp("stranger"), *names) as running:
        yield running


@pytest.fixture(scope="module")
def browser(
    playwright: Playwright,
    tmp_path_factory: pytest.TempPathFactory,
    site: Site,
    frontend: str,
    stranger: tuple[str, Path],
) -> Iterator[Callable[..., Visitor]]:
    """A function that gives the browser of somebody, opened when it is first asked for."""
    address, certificate = stranger
    home = tmp_path_factory.mktemp("home")
    trust(home, site.authority, certificate)
    names = {
        site.domain: site.address,
        frontend.removeprefix("https://"): site.address,
        HOSTILE.removeprefix("https://"): address,
    }
    opened = {}

    def of(somebody: str, *, elsewhere: Mapping[str, str] | None = None, **options: str) -> Visitor:
        if somebody not in opened:
            opened[somebody] = Visitor(playwright, home, names | dict(elsewhere or {}), **options)
        return opened[somebody]

    yield of
    for visitor in opened.values():
        visitor.context.close()


@pytest.fixture
def visitor(browser: Callable[..., Visitor]) -> Visitor:
    """Somebody whom the API has never seen."""
    return browser("visitor").renew()


@pytest.fixture
def careful(browser: Callable[..., Visitor]) -> Visitor:
    """Somebody whose browser blocks third-party cookies."""
    return browser("careful", third_party_cookies="blocked").renew()


@pytest.fixture
def impostor(browser: Callable[..., Visitor], frontend: str, stranger: tuple[str, Path]) -> Visitor:
    """Somebody who finds the stranger's page at the origin of the front end: what it does there is allowed."""
    return browser("impostor", elsewhere={frontend.removeprefix("https://"): stranger[0]}).renew()


@pytest.fixture(scope="module")
def member(browser: Callable[..., Visitor], frontend: str, administrator: Administrator) -> Visitor:
    """Somebody who is logged in."""
    visitor = browser("member")
    visitor.page.goto(frontend)
    visitor.log_in(administrator)
    visitor.expect_signed_in(administrator)
    return visitor


def who(site: Site, *, cookie: Cookie | None = None, key: str | None = None) -> str | int:
    """Whom the API takes somebody for who sends this session's cookie, or its key in the header."""
    headers = {"Authorization": f"Session {key}"} if key else {}
    answer = site.get(ME, cookie=cookie and f"sessionid={cookie['value']}", headers=headers)
    return str(answer.json["email"]) if answer.status == 200 else answer.status


# --- the front end: the session ------------------------------------------------------------------------------------


def round_trip(visitor: Visitor, frontend: str, api: str, person: Administrator) -> tuple[Secret, Cookie | None]:
    """Log in, reload, log out; gives the session's key, and the cookie that the browser kept meanwhile."""
    visitor.page.goto(frontend)
    key = Secret(visitor.log_in(person).json()["session"])
    visitor.expect_signed_in(person)
    cookie = visitor.cookie(api)
    visitor.page.reload()
    visitor.expect_signed_in(person)
    visitor.log_out()
    return key, cookie


def test_the_cookie_carries_the_session(
    visitor: Visitor, site: Site, api: str, frontend: str, administrator: Administrator
) -> None:
    _, cookie = round_trip(visitor, frontend, api, administrator)
    assert cookie, "the browser kept no cookie"
    flags = {name: cookie[name] for name in ("httpOnly", "secure", "path", "sameSite")}
    assert flags == {"httpOnly": True, "secure": True, "path": "/", "sameSite": SAME_SITE[frontend]}
    headers = [headers for _, headers in visitor.sent(api)]
    assert any("cookie" in sent for sent in headers)
    assert not any("authorization" in sent for sent in headers)
    assert visitor.cookie(api) is None
    assert who(site, cookie=cookie) == 401


def test_the_header_carries_it_where_the_browser_blocks_the_cookie(
    careful: Visitor, site: Site, api: str, frontend: str, administrator: Administrator
) -> None:
    """Blocking third-party cookies changes nothing for a front end on the API's own site."""
    key, cookie = round_trip(careful, frontend, api, administrator)
    sent = careful.sent(api)
    blocked = SAME_SITE[frontend] == "None"
    assert (cookie is None) == blocked
    assert any("cookie" in headers for _, headers in sent) != blocked
    assert {headers.get("authorization") for _, headers in sent} == {None, *([f"Session {key}"] if blocked else [])}
    assert not any(key in request.url for request in careful.requests)
    assert key not in careful.page.evaluate("JSON.stringify([location.href, {...localStorage}, {...sessionStorage}])")
    assert who(site, key=key) == 401


def test_the_keyboard_is_enough_to_log_in(visitor: Visitor, frontend: str, administrator: Administrator) -> None:
    visitor.page.goto(frontend)
    keyboard = visitor.page.keyboard
    for label, value in (("Email", administrator.email), ("Password", administrator.password)):
        field = visitor.page.get_by_label(label, exact=True)
        expect(field).to_be_visible()
        for _ in range(5):
            if field.evaluate("field => field === document.activeElement"):
                break
            keyboard.press("Tab")
        expect(field).to_be_focused()
        keyboard.insert_text(value)
    keyboard.press("Enter")
    visitor.expect_signed_in(administrator)


def test_a_double_click_logs_in_once(visitor: Visitor, api: str, frontend: str, administrator: Administrator) -> None:
    visitor.page.goto(frontend)
    visitor.page.get_by_label("Email", exact=True).fill(administrator.email)
    visitor.page.get_by_label("Password", exact=True).fill(administrator.password)
    visitor.page.get_by_role("button", name="Log in").dblclick()
    visitor.expect_signed_in(administrator)
    expect(visitor.page.get_by_role("cell").first).to_be_visible()
    sent = [request.method for request in visitor.requests if request.url == f"{api}{LOGIN}"]
    assert sent.count("POST") == 1


def test_a_wrong_password_is_told(visitor: Visitor, api: str, frontend: str, administrator: Administrator) -> None:
    visitor.page.goto(frontend)
    visitor.log_in(Administrator(administrator.email, Secret("wrong")))
    expect(visitor.page.get_by_role("alert")).to_contain_text("Wrong email or password.")
    assert visitor.cookie(api) is None


# --- the front end: the users --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people(host: Host) -> Iterator[None]:
    """Enough users for several pages."""
    create = "User.objects.bulk_create([User(email=email) for email in emails], ignore_conflicts=True)"
    host.check_output("slipway-manage shell -c %s", PEOPLE + create)
    yield
    host.check_output("slipway-manage shell -c %s", PEOPLE + "User.objects.filter(email__in=emails).delete()")


@pytest.fixture
def users(member: Visitor, frontend: str, people: None) -> Page:
    """The page with the table of users, as it is first shown."""
    member.page.goto(frontend)
    expect(member.page.get_by_role("row")).to_have_count(1 + 10)
    return member.page


def rows(page: Page) -> list[list[str]]:
    """The cells of the table."""
    return [row.get_by_role("cell").all_inner_texts() for row in page.get_by_role("row").all()[1:]]


def test_the_users_are_filtered(users: Page) -> None:
    users.get_by_label("Email", exact=True).fill("person07@browser.test")
    users.get_by_label("Role", exact=True).select_option("Others")
    users.get_by_role("button", name="Filter").click()
    expect(users.get_by_role("row")).to_have_count(1 + 1)
    ((_, email, _),) = rows(users)
    assert email == "person07@browser.test"
    users.get_by_role("button", name="Clear").click()
    expect(users.get_by_role("row")).to_have_count(1 + 10)


def test_the_users_are_shown_in_pages(users: Page) -> None:
    status = users.get_by_role("status")
    expect(status).to_have_text(re.compile(r"^1\W10 of \d+$"))
    first = rows(users)
    users.get_by_role("button", name="Next").click()
    expect(status).to_have_text(re.compile(r"^11\W20 of \d+$"))
    assert not {row[0] for row in first} & {row[0] for row in rows(users)}
    users.get_by_role("button", name="Previous").click()
    expect(status).to_have_text(re.compile(r"^1\W10 of \d+$"))
    assert rows(users) == first
    users.get_by_label("Rows per page").select_option("25")
    expect(users.get_by_role("row")).to_have_count(1 + 25)


def test_a_wrong_filter_is_told_at_its_field(users: Page) -> None:
    field = users.get_by_label("Id", exact=True)
    field.fill("abc")
    users.get_by_role("button", name="Filter").click()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile("number"))


def test_the_front_end_complains_of_nothing(
    visitor: Visitor, host: Host, people: None, frontend: str, administrator: Administrator
) -> None:
    """No error in the console, above all none of its Content-Security-Policy. These are the pictures to look at."""
    visitor.page.goto(frontend)
    expect(visitor.page.get_by_role("heading", name="Log in")).to_be_visible()
    visitor.screenshots(f"{host.backend.host}-login")
    visitor.log_in(administrator)
    expect(visitor.page.get_by_role("row")).to_have_count(1 + 10)
    visitor.screenshots(f"{host.backend.host}-users")
    assert visitor.complaints == []


# --- the documentation ---------------------------------------------------------------------------------------------


def test_the_documentation_needs_no_other_host(visitor: Visitor, api: str) -> None:
    visitor.page.goto(f"{api}/api/docs/")
    expect(visitor.page.get_by_text("/api/auth/login/", exact=True)).to_be_visible()
    elsewhere = [request.url for request in visitor.requests if not request.url.startswith((f"{api}/", "data:"))]
    assert elsewhere == []
    assert visitor.complaints == []


# --- hostile pages -------------------------------------------------------------------------------------------------
# Each is tried from a hostile origin, where it must fail, and from the origin of the front end, where it must succeed:
# else it would prove nothing.


@pytest.mark.parametrize("way", LOGOUTS)
def test_a_hostile_page_logs_nobody_out(
    member: Visitor, site: Site, api: str, frontend: str, administrator: Administrator, way: str
) -> None:
    """The browser sends the cookie wherever its SameSite lets it; the API looks at where the request comes from."""
    cookie = member.cookie(api)
    sent, status = attempt(member, HOSTILE, f"{api}{LOGOUT}", LOGOUTS[way])
    assert ("cookie" in sent) == (SAME_SITE[frontend] == "None" or way == "link")
    assert status == 403
    assert member.cookie(api) == cookie
    assert who(site, cookie=cookie) == administrator.email


@pytest.mark.parametrize("way", LOGOUTS)
def test_the_same_page_on_an_allowed_origin_logs_in_and_out(
    impostor: Visitor, site: Site, api: str, frontend: str, administrator: Administrator, way: str
) -> None:
    _, status = attempt(impostor, frontend, f"{api}{LOGIN}", (FETCH, json_login(administrator)))
    cookie = impostor.cookie(api)
    assert (status, who(site, cookie=cookie)) == (200, administrator.email)
    assert administrator.email in impostor.page.evaluate(FETCH, [f"{api}{ME}", {}])
    # A browser does not say which origin an image or a link is of: only the API's own pages may use those.
    page = f"{api}/health/live/" if way in ("image", "link") else frontend
    _, status = attempt(impostor, page, f"{api}{LOGOUT}", LOGOUTS[way])
    assert status == 200
    assert impostor.cookie(api) is None
    assert who(site, cookie=cookie) == 401


def test_a_hostile_page_logs_nobody_in(visitor: Visitor, api: str, administrator: Administrator) -> None:
    """The browser asks the API first, and the API does not agree."""
    visitor.page.goto(HOSTILE)
    assert visitor.page.evaluate(FETCH, [f"{api}{LOGIN}", json_login(administrator)]) == "no answer"
    assert visitor.cookie(api) is None


@pytest.mark.parametrize("way", ["fetch", "form"])
def test_a_hostile_page_logs_nobody_in_without_asking_either(
    visitor: Visitor, impostor: Visitor, api: str, frontend: str, administrator: Administrator, way: str
) -> None:
    """Refused for its origin: from an allowed one, only that it is not JSON is wrong with it."""
    for person, page, expected in ((visitor, HOSTILE, 403), (impostor, frontend, 415)):
        _, status = attempt(person, page, f"{api}{LOGIN}", text_logins(administrator)[way])
        assert status == expected
        assert person.cookie(api) is None


def test_a_hostile_page_reads_nothing(member: Visitor, api: str, frontend: str) -> None:
    """Not even where the browser sends the cookie, and the API answers."""
    sent, status = attempt(member, HOSTILE, f"{api}{ME}", (FETCH, {}))
    assert ("cookie" in sent, status) == ((True, 200) if SAME_SITE[frontend] == "None" else (False, 401))
    for options in ({}, {"mode": "no-cors"}):
        assert member.page.evaluate(FETCH, [f"{api}{ME}", options]) == "no answer"


@pytest.mark.parametrize("path", ["/admin/", "/api/docs/"])
def test_a_hostile_page_frames_nothing_of_the_api(member: Visitor, api: str, path: str) -> None:
    member.page.goto(f"{api}{path}")
    expect(member.page.locator("body")).not_to_be_empty()
    member.page.goto(HOSTILE)
    assert framed(member.page, f"{HOSTILE}/") == f"{HOSTILE}/"
    assert framed(member.page, f"{api}{path}") == "chrome-error://chromewebdata/"


def test_a_hostile_page_does_not_frame_the_front_end(member: Visitor, frontend: str) -> None:
    member.page.goto(HOSTILE)
    assert framed(member.page, f"{frontend}/") == "chrome-error://chromewebdata/"
