from datetime import datetime
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.db import transaction

from styleguide_example.users.models import LoginRecord, User


@transaction.atomic
def user_create(
    *, email: str, password: str, is_admin: bool = False, is_superuser: bool = False
) -> User:
    user = User(email=email, is_admin=is_admin, is_superuser=is_superuser)
    validate_password(password, user)
    user.set_password(password)
    user.full_clean()
    user.save()
    return user


@transaction.atomic
def user_make_admin(*, user: User, new_password: str | None = None) -> bool:
    """Give an existing user every right; says whether anything had to change."""
    wanted = {"is_active": True, "is_admin": True, "is_superuser": True}
    changed = {name for name, value in wanted.items() if getattr(user, name) != value}
    for name in changed:
        setattr(user, name, wanted[name])
    if new_password is not None and not user.check_password(new_password):
        validate_password(new_password, user)
        user.set_password(new_password)
        changed.add("password")
    if changed:
        user.full_clean()
        user.save(update_fields=changed)
    return bool(changed)


@transaction.atomic
def users_create_demo(*, emails: list[str]) -> int:
    """Users to look at, not to log in with; says how many were new. Every 25th is an admin."""
    existing = set(User.objects.filter(email__in=emails).values_list("email", flat=True))
    users = [
        User(email=email, is_admin=number % 25 == 0)
        for number, email in enumerate(emails, start=1)
        if email not in existing
    ]
    for user in users:
        user.set_unusable_password()
    User.objects.bulk_create(users, batch_size=1000, ignore_conflicts=True)
    return len(users)


@transaction.atomic
def login_record_create(
    *, record_id: UUID, user_id: int, occurred_at: datetime, request_id: str
) -> bool:
    """Record a login once, however often it is asked to; says whether it was new."""
    if not User.objects.filter(id=user_id).exists():
        return False
    _, created = LoginRecord.objects.get_or_create(
        id=record_id,
        defaults={"user_id": user_id, "occurred_at": occurred_at, "request_id": request_id},
    )
    return created
