from typing import TypeVar

from django import forms
from django.db.models import Model, QuerySet
from django_filters import Filter, FilterSet, NumberFilter
from django_filters.utils import translate_validation
from rest_framework.request import Request

_Model = TypeVar("_Model", bound=Model)


class IntegerFilter(NumberFilter):
    """NumberFilter takes decimals too, and 1.5 would then find row 1."""

    field_class = forms.IntegerField  # type: ignore[assignment]  # A narrower form field.


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class _BooleanField(forms.Field):
    def to_python(self, value: str | None) -> bool | None:
        if value is None or value in self.empty_values:
            return None
        try:
            return _BOOLEANS[value.lower()]
        except KeyError:
            raise forms.ValidationError("Enter true or false.") from None


class BooleanFilter(Filter):
    """The library's own filter ignores what it does not understand."""

    field_class = _BooleanField


def filtered(
    *, request: Request, filterset_class: type[FilterSet], queryset: QuerySet[_Model]
) -> QuerySet[_Model]:
    """The rows that the query string asks for, or a 400 that names the parameter at fault."""
    filterset = filterset_class(request.query_params, queryset=queryset)
    if not filterset.is_valid():
        # It returns a ValidationError, whatever the stubs say.
        raise translate_validation(filterset.errors)  # type: ignore[misc]
    return filterset.qs
