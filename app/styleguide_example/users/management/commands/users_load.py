from django.core.management.base import BaseCommand, CommandError, CommandParser

from styleguide_example.users.services import users_create_demo

_FIRST_NAMES = (
    "ada alan amina anders barbara bjarne carla chen dennis dorothy edith emeka fatima frances "
    "grace guido hedy hiroshi ines ivan jean joan katherine ken lea linus mary mei nadia niklaus "
    "olga omar paula priya radia rosa sofia tim ursula yukihiro"
)
_LAST_NAMES = (
    "abe adeyemi andersson bauer becker costa diaz dubois eriksen fischer garcia haddad hansen "
    "ito jansen johnson kaya khan kim kowalski lopez martin meyer moreau murphy novak okafor "
    "patel petrov rossi sato schmidt silva singh smith tanaka torres virtanen weber zhang"
)
_FIRST, _LAST = _FIRST_NAMES.split(), _LAST_NAMES.split()
_MAX = 1_000_000
_CHUNK = 10_000


class Command(BaseCommand):
    help = "Make sure that N demo users exist, the same ones each time. They cannot log in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("n", type=int, metavar="N")

    def handle(self, *args: object, n: int, **options: object) -> None:
        if not 1 <= n <= _MAX:
            raise CommandError(f"N must be from 1 to {_MAX}.")
        created = 0
        for start in range(0, n, _CHUNK):
            numbers = range(start, min(start + _CHUNK, n))
            created += users_create_demo(emails=[_email(number) for number in numbers])
        self.stdout.write(f"{created} created, {n - created} there already")


def _email(number: int) -> str:
    round_, position = divmod(number, len(_FIRST) * len(_LAST))
    # 7 shares no factor with the number of last names: neighbours differ in both names.
    first = _FIRST[position % len(_FIRST)]
    last = _LAST[(position // len(_FIRST) + 7 * position) % len(_LAST)]
    return f"{first}.{last}{round_ or ''}@example.com"
