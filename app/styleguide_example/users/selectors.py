from django.db.models import QuerySet

from styleguide_example.users.models import User


def user_list() -> QuerySet[User]:
    """All users, for whom USER_LIST_ACCESS names. Ordered, or pages would overlap."""
    return User.objects.only("id", "email", "is_admin").order_by("id")
