"""Filters for RabbitMQ's definitions file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable


def rabbitmq_password_hash(password: str, user: str) -> str:
    """Hash `password` as RabbitMQ stores it: base64 of a 4-byte salt and SHA-256 over salt and password.

    The salt comes from the user's name and the password, so that the same pair always gives the same file.
    Source: "Computing Password Hash" in RabbitMQ's guide on passwords.
    """
    salt = hashlib.sha256(f"{user}\0{password}".encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


class FilterModule:
    def filters(self) -> dict[str, Callable[..., str]]:
        return {"rabbitmq_password_hash": rabbitmq_password_hash}
