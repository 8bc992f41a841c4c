from django.db.models import QuerySet

from styleguide_example.users.models import User


def user_list() -> QuerySet[User]:
    """All users, for anyone who is logged in. Ordered, or pages would overlap."""
    return User.objects.only("id", "email", "is_admin").order_by("id")


def user_login_data(*, user: User) -> dict:
    """What users may know about themselves."""
    return {
        "id": user.id,
        "email": user.email,
        "is_active": user.is_active,
        "is_admin": user.is_admin,
        "is_superuser": user.is_superuser,
    }
