import io

import pytest
from django.core.management import CommandError, call_command

from styleguide_example.users.models import User

PASSWORD = "correct horse battery 9"


def ensure_admin(*arguments: str) -> str:
    out = io.StringIO()
    call_command("user_ensure_admin", "--email", "Root@example.com", *arguments, stdout=out)
    assert PASSWORD not in out.getvalue()
    return out.getvalue().strip()


@pytest.fixture
def password(monkeypatch):
    monkeypatch.setenv("ADMIN_PASSWORD", PASSWORD)


def test_the_admin_is_created_once(db, password):
    assert [ensure_admin(), ensure_admin()] == ["created", "unchanged"]
    user = User.objects.get()
    assert user.email == "root@example.com"
    assert user.check_password(PASSWORD)
    assert user.is_active
    assert user.is_admin
    assert user.is_superuser


def test_the_password_may_come_from_standard_input(db, monkeypatch):
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert ensure_admin() == "created"
    assert User.objects.get().check_password(PASSWORD)


def test_without_a_password_nobody_is_created(db, monkeypatch):
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(CommandError, match="ADMIN_PASSWORD"):
        ensure_admin()
    assert not User.objects.exists()


def test_a_weak_password_is_refused(db, monkeypatch):
    monkeypatch.setenv("ADMIN_PASSWORD", "hush")
    with pytest.raises(CommandError, match="too short") as refused:
        ensure_admin()
    assert "hush" not in str(refused.value)


def test_rights_are_restored_and_the_password_kept(db, password, monkeypatch):
    ensure_admin()
    User.objects.update(is_active=False, is_admin=False, is_superuser=False)
    monkeypatch.setenv("ADMIN_PASSWORD", "another horse battery 9")
    assert ensure_admin() == "updated"
    user = User.objects.get()
    assert (user.is_active, user.is_admin, user.is_superuser) == (True, True, True)
    assert user.check_password(PASSWORD)


def test_the_password_is_reset_on_request(db, password, monkeypatch):
    ensure_admin()
    assert ensure_admin("--reset-password") == "unchanged"
    monkeypatch.setenv("ADMIN_PASSWORD", "another horse battery 9")
    assert ensure_admin("--reset-password") == "updated"
    assert User.objects.get().check_password("another horse battery 9")


@pytest.mark.parametrize("by", ["cookie", "header"])
def test_a_reset_password_ends_the_sessions(api, db, password, monkeypatch, by):
    ensure_admin()
    key = api.log_in(email="root@example.com").json()["session"]
    if by == "header":
        api.cookies.clear()
    sent = {"Authorization": f"Session {key}"} if by == "header" else {}
    assert api.get("/api/auth/me/", headers=sent).status_code == 200
    monkeypatch.setenv("ADMIN_PASSWORD", "another horse battery 9")
    ensure_admin("--reset-password")
    assert api.get("/api/auth/me/", headers=sent).status_code == 401


def load(number: str) -> str:
    out = io.StringIO()
    call_command("users_load", number, stdout=out)
    return out.getvalue().strip()


def test_demo_users_are_the_same_each_time(db):
    assert load("2000") == "2000 created, 0 there already"
    first = set(User.objects.values_list("email", "is_admin"))
    assert load("2000") == "0 created, 2000 there already"
    assert load("2100") == "100 created, 2000 there already"
    User.objects.all().delete()
    load("2000")
    assert set(User.objects.values_list("email", "is_admin")) == first
    assert len(first) == 2000


def test_demo_users_cannot_log_in(db):
    load("50")
    users = User.objects.all()
    assert not any(user.has_usable_password() for user in users)
    assert sum(user.is_admin for user in users) == 2
    assert not any(user.is_superuser for user in users)


@pytest.mark.parametrize("number", ["0", "-1", "1000001"])
def test_a_number_out_of_range_is_refused(db, number):
    with pytest.raises(CommandError):
        load(number)
