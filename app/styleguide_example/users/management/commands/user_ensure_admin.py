import getpass
import os
import sys

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from styleguide_example.users.models import User
from styleguide_example.users.services import user_create, user_make_admin


class Command(BaseCommand):
    help = (
        "Make sure that an administrator exists. The password comes from ADMIN_PASSWORD or "
        "standard input, and is only used for a new user or with --reset-password."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", required=True)
        parser.add_argument("--reset-password", action="store_true")

    def handle(self, *args: object, email: str, reset_password: bool, **options: object) -> None:
        user = User.objects.filter(email=email.lower()).first()
        try:
            if user is None:
                user_create(email=email, password=_password(), is_admin=True, is_superuser=True)
                outcome = "created"
            else:
                password = _password() if reset_password else None
                changed = user_make_admin(user=user, new_password=password)
                outcome = "updated" if changed else "unchanged"
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        self.stdout.write(outcome)


def _password() -> str:
    # Never an argument: every user of the machine can read those.
    if password := os.environ.get("ADMIN_PASSWORD"):
        return password
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise CommandError("Set ADMIN_PASSWORD, or write the password to standard input.")
    return password
