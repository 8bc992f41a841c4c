from typing import Any

from axes.models import AccessFailureLog
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest

from styleguide_example.authentication.models import LoginSession
from styleguide_example.users.models import User

# Nothing fills it. What is left of axes: where logins came from, and the access attempts, of which
# a deleted row unlocks.
admin.site.unregister(AccessFailureLog)


class _SessionChangeList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # One query for the page, not one for each row.
        users = User.objects.in_bulk({session.user_id for session in self.result_list})
        for session in self.result_list:
            session.user = users.get(session.user_id)


@admin.register(LoginSession)
class LoginSessionAdmin(admin.ModelAdmin):
    """Who is logged in. Deleting a session logs that person out."""

    list_display = ("fingerprint", "who", "expire_date")
    fields = ("fingerprint", "who", "expire_date")
    ordering = ("-expire_date",)

    @admin.display(empty_value="nobody")
    def who(self, session: LoginSession) -> User | None:
        return session.user

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return _SessionChangeList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: LoginSession | None = None) -> bool:
        return False
