from django.db.models import QuerySet
from django_filters import CharFilter, FilterSet

from styleguide_example.api.filters import BooleanFilter, IntegerFilter
from styleguide_example.users.models import User


class UserFilter(FilterSet):
    id = IntegerFilter()
    email = CharFilter(method="filter_email")
    is_admin = BooleanFilter()

    class Meta:
        model = User
        fields = ("id", "email", "is_admin")

    def filter_email(self, queryset: QuerySet[User], _name: str, value: str) -> QuerySet[User]:
        # Addresses are stored in lower case; this way the index serves any spelling.
        return queryset.filter(email=value.lower())
