"""Failed logins lock one account for one client address, and slow it for the others."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt, AccessLog
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from structlog.testing import capture_logs

from conftest import PASSWORD, ApiClient
from styleguide_example.authentication.lockout import client_address
from styleguide_example.authentication.tasks import (
    login_addresses_clear_expired,
    login_failures_clear_expired,
)
from styleguide_example.users.models import User
from styleguide_example.users.services import user_create

HOME, ELSEWHERE = "192.0.2.1", "192.0.2.2"
EMAIL, WRONG = "ada@example.com", "hush-hush"


def log_in(*, email: str = EMAIL, password: str = WRONG, address: str = HOME, **extra):
    return ApiClient().log_in(email=email, password=password, HTTP_X_FORWARDED_FOR=address, **extra)


def fail(times: int, **options) -> list[int]:
    return [log_in(**options).status_code for _ in range(times)]


def age(**by) -> None:
    """Let the failures so far be older."""
    for attempt in AccessAttempt.objects.all():
        AccessAttempt.objects.filter(id=attempt.id).update(
            attempt_time=attempt.attempt_time - timedelta(**by)
        )


@pytest.fixture
def locked(user) -> User:
    assert fail(5) == [401, 401, 401, 401, 429]
    return user


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
def test_the_fifth_failure_locks_whether_or_not_the_account_exists(user, email):
    assert fail(4, email=email) == [401] * 4
    for _ in range(2):
        answer = log_in(email=email)
        assert answer.status_code == 429
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json() == {
            "message": "Too many failed logins. Try again later.",
            "extra": {},
            "request_id": answer.headers["X-Request-ID"],
        }
        assert 840 < int(answer.headers["Retry-After"]) <= 900


def test_the_right_password_does_not_help_while_locked(locked):
    answer = log_in(password=PASSWORD)
    assert (answer.status_code, "sessionid" in answer.cookies) == (429, False)


def test_a_front_end_can_read_the_lockout(locked):
    answer = log_in(headers={"Origin": "https://app.example.com"})
    assert answer.status_code == 429
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"


def test_the_victim_logs_in_from_another_address(locked):
    assert log_in(password=PASSWORD, address=ELSEWHERE).status_code == 200
    # Which does not free the address that was locked.
    assert log_in(password=PASSWORD).status_code == 429


def test_another_account_logs_in_from_the_same_address(locked):
    user_create(email="grace@example.com", password=PASSWORD)
    assert log_in(email="grace@example.com", password=PASSWORD).status_code == 200


def test_no_spelling_of_the_account_and_no_other_browser_gets_around_it(user):
    for number, email in enumerate(["ada@example.com", "ADA@example.com", "Ada@Example.com"] * 2):
        status = log_in(email=email, headers={"User-Agent": f"browser {number}"}).status_code
    assert status == 429


def test_tries_during_the_lockout_do_not_prolong_it(locked):
    age(seconds=600)
    answer = log_in()
    assert (answer.status_code, int(answer.headers["Retry-After"]) <= 300) == (429, True)
    age(seconds=301)
    assert log_in(password=PASSWORD).status_code == 200


def test_a_success_clears_the_count(user):
    assert fail(4) == [401] * 4
    assert log_in(password=PASSWORD).status_code == 200
    assert not AccessAttempt.objects.exists()
    assert fail(4) == [401] * 4


def test_number_and_time_are_settable(user, settings):
    settings.AXES_FAILURE_LIMIT = 2
    settings.AXES_COOLOFF_TIME = timedelta(seconds=60)
    assert fail(2) == [401, 429]
    assert 0 < int(log_in().headers["Retry-After"]) <= 60


@pytest.fixture
def slowed(user, settings) -> User:
    """Three failures are much here, from as many addresses; then a try each 300 seconds."""
    settings.LOGIN_ACCOUNT_FAILURES_MAX = 3
    log_in(password=PASSWORD)
    assert [fail_from(number) for number in range(3)] == [401, 401, 401]
    return user


def fail_from(number: int, **options) -> int:
    return log_in(address=f"198.51.100.{number}", **options).status_code


@pytest.mark.parametrize("password", [WRONG, PASSWORD])
def test_many_failures_from_many_addresses_slow_the_account(slowed, password):
    answer = log_in(address="198.51.100.9", password=password)
    assert answer.status_code == 429
    assert 290 < int(answer.headers["Retry-After"]) <= 300
    assert answer.json()["message"] == "Too many failed logins. Try again later."
    # Each try in its turn is judged.
    age(seconds=301)
    assert fail_from(9, password=password) == (200 if password == PASSWORD else 401)
    assert fail_from(8) == (429 if password == WRONG else 401)


def test_who_has_logged_in_from_there_need_not_wait(slowed):
    assert log_in(password=PASSWORD).status_code == 200
    assert fail(5)[-1] == 429
    # Of another account, such a login proves nothing.
    user_create(email="grace@example.com", password=PASSWORD)
    elsewhere = {"address": ELSEWHERE, "password": PASSWORD}
    assert log_in(email="grace@example.com", **elsewhere).status_code == 200
    assert log_in(**elsewhere).status_code == 429


def test_an_unknown_account_is_slowed_alike(slowed):
    statuses = [fail_from(number, email="nobody@example.com") for number in range(4)]
    assert statuses == [401, 401, 401, 429]


def test_the_admin_is_slowed_too(slowed):
    client = ApiClient(enforce_csrf_checks=False)
    answer = client.post("/admin/login/", ADMIN_FORM, HTTP_X_FORWARDED_FOR=ELSEWHERE)
    assert answer.status_code == 429
    assert "Try again in 5 minutes." in answer.content.decode()


def test_slow_logins_are_logged_with_their_turns(slowed):
    with capture_logs() as lines:
        fail_from(9)
        age(seconds=301)
        fail_from(9)
    found = [line for line in lines if line["event"].startswith("login_")]
    assert found == [{"event": "login_slowed", "log_level": "warning", "failures": 3}]


def test_addresses_are_forgotten_after_a_month(user):
    log_in(password=PASSWORD)
    log_in(password=PASSWORD, address=ELSEWHERE)
    old = timezone.now() - timedelta(days=30, seconds=1)
    AccessLog.objects.filter(ip_address=HOME).update(attempt_time=old)
    login_addresses_clear_expired()
    assert [row.ip_address for row in AccessLog.objects.all()] == [ELSEWHERE]


@pytest.mark.parametrize(
    ("forwarded", "remote", "expected"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1", "127.0.0.1", "192.0.2.1"),
        ("6.6.6.6,garbage, 192.0.2.1 ", "", "192.0.2.1"),
        ("", "192.0.2.1", "192.0.2.1"),
        ("", "", None),
        ("garbage", "127.0.0.1", None),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::"),
        ("2001:db8:1:2::1", "", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
    ],
)
def test_the_client_address(forwarded, remote, expected):
    request = RequestFactory().get("/", REMOTE_ADDR=remote)
    if forwarded:
        request.META["HTTP_X_FORWARDED_FOR"] = forwarded
    assert client_address(request) == expected


def test_an_address_that_the_client_wrote_itself_is_ignored(user):
    statuses = [log_in(address=f"6.6.6.{number}, {HOME}").status_code for number in range(5)]
    assert statuses[-1] == 429


def test_one_ipv6_network_is_one_client(user):
    statuses = [log_in(address=f"2001:db8:1:2::{number}").status_code for number in range(1, 6)]
    assert statuses[-1] == 429
    assert log_in(address="2001:db8:1:3::1", password=PASSWORD).status_code == 200


def test_without_any_address_a_login_works(user):
    assert ApiClient().log_in(email=EMAIL, REMOTE_ADDR="").status_code == 200
    assert fail(5, address="", REMOTE_ADDR="")[-1] == 429


ADMIN_FORM = {"username": "Ada@Example.com", "password": WRONG}


def admin_log_in(**changes):
    client = ApiClient(enforce_csrf_checks=False)
    return client.post("/admin/login/", ADMIN_FORM | changes, HTTP_X_FORWARDED_FOR=HOME)


def test_the_admin_is_locked_too_and_says_so(user):
    type(user).objects.update(is_admin=True, is_superuser=True)
    for _ in range(5):
        answer = admin_log_in()
    assert answer.status_code == 429
    assert 840 < int(answer.headers["Retry-After"]) <= 900
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "Try again in 15 minutes." in answer.content.decode()
    assert '<a href="/admin/login/">' in answer.content.decode()
    assert admin_log_in(password=PASSWORD).status_code == 429
    # One count for both doors.
    assert log_in(password=PASSWORD).status_code == 429


@pytest.mark.parametrize("name", ["\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}" * 254, "a\x00b"])
def test_an_odd_account_name_is_no_crash(db, name):
    assert admin_log_in(username=name).status_code == 200


def test_no_password_is_kept(user, caplog):
    admin_log_in()
    log_in()
    rows = list(AccessAttempt.objects.values())
    assert len(rows) == 1
    assert "username" in rows[0]["post_data"]
    for text in (str(rows), caplog.text):
        assert WRONG not in text
    assert EMAIL not in caplog.text


@pytest.mark.parametrize("try_to_log_in", [log_in, admin_log_in])
def test_a_lockout_is_logged_once_and_without_the_account(user, caplog, try_to_log_in):
    with capture_logs() as lines:
        for _ in range(6):
            answer = try_to_log_in()
    assert answer.status_code == 429
    (line,) = [line for line in lines if line["event"] == "login_locked_out"]
    assert line == {"event": "login_locked_out", "log_level": "warning", "client_address": HOME}
    # Nor does axes, for each failure.
    assert "AXES" not in caplog.text


def test_failures_that_no_longer_count_are_deleted(locked):
    login_failures_clear_expired()
    assert AccessAttempt.objects.exists()
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(seconds=901))
    login_failures_clear_expired()
    assert not AccessAttempt.objects.exists()


class CountedHasher(Argon2PasswordHasher):
    """Production's algorithm, cheap, and counted."""

    time_cost, memory_cost, parallelism = 1, 8, 1
    calls = 0

    def encode(self, *args, **kwargs):
        type(self).calls += 1
        return super().encode(*args, **kwargs)

    def verify(self, *args, **kwargs):
        type(self).calls += 1
        return super().verify(*args, **kwargs)


def test_a_failed_login_is_the_same_work_for_every_account(db, settings):
    """Measured in hashes and queries: the time that they take is what an attacker could see."""
    settings.PASSWORD_HASHERS = [f"{__name__}.CountedHasher"]
    user_create(email="wrong@example.com", password=PASSWORD)
    inactive = user_create(email="inactive@example.com", password=PASSWORD)
    User.objects.filter(id=inactive.id).update(is_active=False)
    unusable = User(email="unusable@example.com")
    unusable.set_unusable_password()
    unusable.save()

    work: dict[tuple[int, tuple[str, ...]], set[str]] = {}
    for number in range(40):
        kind = ("unknown", "wrong", "inactive", "unusable")[number % 4]
        password = PASSWORD if kind == "inactive" else WRONG
        before = CountedHasher.calls
        with CaptureQueriesContext(connection) as queries:
            # An address of its own: the second failure of a pair is an UPDATE instead.
            answer = log_in(
                email=f"{kind}@example.com", password=password, address=f"192.0.2.{number}"
            )
        assert answer.status_code == 401
        verbs = tuple(query["sql"].split()[0] for query in queries)
        work.setdefault((CountedHasher.calls - before, verbs), set()).add(kind)
    assert len(work) == 1, work
    ((hashes, _),) = work
    assert hashes == 1
