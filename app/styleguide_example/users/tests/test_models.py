import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from styleguide_example.users.models import User
from styleguide_example.users.services import user_create

PASSWORD = "correct horse battery 9"


def test_an_address_is_stored_in_lower_case(db):
    user = user_create(email="Grace.Hopper@EXAMPLE.com", password=PASSWORD)
    assert User.objects.get().email == user.email == "grace.hopper@example.com"


def test_a_second_spelling_is_refused(user):
    with pytest.raises(ValidationError) as raised:
        user_create(email="ADA@EXAMPLE.COM", password=PASSWORD)
    assert "email" in raised.value.message_dict


def test_the_database_refuses_it_too(user):
    with (
        pytest.raises(IntegrityError, match="users_user_email_unique_ignoring_case"),
        transaction.atomic(),
    ):
        User.objects.bulk_create([User(email="ADA@example.com")])


@pytest.mark.parametrize("password", ["short", "password1234", "123456789012345", "ada@example.co"])
def test_a_weak_password_is_refused(db, password):
    with pytest.raises(ValidationError):
        user_create(email="ada@example.com", password=password)
    assert not User.objects.exists()


@pytest.mark.parametrize("is_admin", [True, False])
def test_the_admin_is_for_admins(user, is_admin):
    user.is_admin = is_admin
    assert user.is_staff is is_admin


def test_createsuperuser(db):
    user = User.objects.create_superuser(email="Root@example.com", password=PASSWORD)
    assert (user.email, user.is_admin, user.is_superuser) == ("root@example.com", True, True)
    assert user.check_password(PASSWORD)
