from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import models
from django.utils.functional import cached_property

from styleguide_example.users.models import User


class LoginSession(models.Model):
    """A row of Django's sessions, without its key: whoever has the key is logged in.

    A view of the database. Deleting a row of it deletes the session.
    """

    fingerprint = models.CharField(max_length=16, primary_key=True)
    session_data = models.TextField()
    expire_date = models.DateTimeField("expires")

    class Meta:
        managed = False
        db_table = "authentication_login_session"
        verbose_name = "session"

    def __str__(self) -> str:
        return self.fingerprint

    @property
    def user_id(self) -> int:
        """0 where nobody is logged in."""
        return int(SessionStore().decode(self.session_data).get(SESSION_KEY, 0))

    @cached_property
    def user(self) -> User | None:
        return User.objects.filter(id=self.user_id).first()
