from typing import Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """For `manage.py createsuperuser`."""
        user = self.model(email=email, is_admin=True, is_superuser=True, **fields)
        user.set_password(password)
        user.full_clean()
        user.save(using=self._db)
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """A person who logs in with an email address."""

    # Kept in lower case by clean(); unique, so that it can be the login name.
    email = models.EmailField(max_length=254, unique=True)
    is_active = models.BooleanField(default=True)
    is_admin = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"

    class Meta:
        constraints = (
            # Holds for rows that were written past clean(), too.
            models.UniqueConstraint(
                Lower("email"),
                name="users_user_email_unique_ignoring_case",
                violation_error_message="A user with this email address already exists.",
            ),
        )

    def __str__(self) -> str:
        return self.email

    @property
    def is_staff(self) -> bool:
        """What Django's admin asks for."""
        return self.is_admin

    def clean(self) -> None:
        super().clean()
        self.email = self.email.lower()


class LoginRecord(models.Model):
    """That a user logged in, and when; written by the worker."""

    # Made by the request that logs in: a task that runs twice still makes one row.
    id = models.UUIDField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="login_records")
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(default=timezone.now)
    request_id = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.user_id} at {self.occurred_at:%Y-%m-%d %H:%M:%S}"
