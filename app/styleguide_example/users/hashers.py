from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with OWASP's parameters: 19 MiB, two passes, one lane.

    Django's own take 100 MiB each: a handful of logins at once would exhaust a small host.
    """

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1
