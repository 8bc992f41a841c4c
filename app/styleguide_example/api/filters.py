from django import forms
from django.db.models import QuerySet
from django_filters import Filter, FilterSet, NumberFilter
from django_filters.utils import translate_validation
from rest_framework.request import Request


class IntegerFilter(NumberFilter):
    """NumberFilter takes decimals too, and 1.5 would then find row 1."""

    field_class = forms.IntegerField


class _BooleanField(forms.Field):
    _values = {"true": True, "1": True, "false": False, "0": False}  # noqa: RUF012

    def to_python(self, value: str | None) -> bool | None:
        if value in self.empty_values:
            return None
        try:
            return self._values[value.lower()]
        except KeyError:
            raise forms.ValidationError("Enter true or false.") from None


class BooleanFilter(Filter):
    """The library's own filter ignores what it does not understand."""

    field_class = _BooleanField


def filtered(*, request: Request, filterset_class: type[FilterSet], queryset: QuerySet) -> QuerySet:
    """The rows that the query string asks for, or a 400 that names the parameter at fault."""
    filterset = filterset_class(request.query_params, queryset=queryset)
    if not filterset.is_valid():
        raise translate_validation(filterset.errors)
    return filterset.qs
