"""Public SSH keys, as they stand in authorized_keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.slipway.host.plugins.module_utils.inventory.rules import Rule
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

# sshd refuses shorter ones, and DSA at any length.
RSA_BITS = 2048


def is_public_key(line: str) -> bool:
    """Whether sshd can read the key: its kind, its base64 and its length."""
    if "\n" in line.strip():
        return False
    try:
        key = load_ssh_public_key(line.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        return False
    return not isinstance(key, RSAPublicKey) or key.key_size >= RSA_BITS


def are_administrators(value: Sequence[Mapping[str, Any]]) -> bool:
    names = {each["name"] for each in value}
    return len(names) == len(value) and all(each["keys"] and all(map(is_public_key, each["keys"])) for each in value)


ADMINISTRATORS = Rule(
    are_administrators,
    "each needs a name of their own and at least one whole public key, as in ~/.ssh/id_ed25519.pub: its kind, its "
    f"base64 and a comment. RSA keys need {RSA_BITS} bits",
    [{"name": "ada", "keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI... ada@example.com"]}],
)
