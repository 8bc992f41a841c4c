"""What the inventory may say of the proxy, beyond the types of its values."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.module_utils.inventory import sentences
from ansible_collections.slipway.host.plugins.module_utils.inventory.specs import broken_rule
from repository import options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nginx_trusted_proxies", ["10.0.0.5"]),
        ("nginx_trusted_proxies", ["0.0.0.0/0"]),
        ("nginx_trusted_proxies", ["10.0.0.0/24", "::/0"]),
        ("nginx_private_paths", [{"path": "admin", "networks": ["10.8.0.0/24"]}]),
        ("nginx_private_paths", [{"path": "", "networks": ["10.8.0.0/24"]}]),
        ("nginx_private_paths", [{"path": "/admin/", "networks": []}]),
        ("nginx_private_paths", [{"path": "/admin/", "networks": ["10.8.0.5"]}]),
        ("nginx_private_paths", [{"path": '/admin/" 1;', "networks": ["10.8.0.0/24"]}]),
        ("nginx_health_path", "health"),
        ("nginx_health_path", "/health/;"),
        ("nginx_basic_auth_users", {"a:b": "text"}),
        ("nginx_basic_auth_users", {"ada": ""}),
    ],
)
def test_a_wrong_value_is_refused(name: str, value: Any) -> None:
    assert broken_rule(name, options("nginx")[name], value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nginx_trusted_proxies", []),
        ("nginx_trusted_proxies", ["10.0.0.0/24", "10.0.1.5/32", "fd00::/64"]),
        ("nginx_private_paths", [{"path": "/admin/", "networks": ["10.8.0.0/24", "fd00::/64"]}]),
        ("nginx_health_path", ""),
        ("nginx_health_path", "/health/ready/"),
        ("nginx_basic_auth_users", {"ada": "a long one", "bob": 1234}),
    ],
)
def test_a_right_value_passes(name: str, value: Any) -> None:
    assert broken_rule(name, options("nginx")[name], value) is None


def test_the_proxy_protocol_needs_a_proxy_to_believe() -> None:
    valid = {"nginx_proxy_protocol_enabled": True}
    (sentence,) = sentences.describe_proxies(valid, 1, lambda: "nginx.yml:1")
    assert sentence.startswith("nginx_proxy_protocol_enabled is true, in nginx.yml:1, and no proxy is trusted")
    assert not list(sentences.describe_proxies({**valid, "nginx_trusted_proxies": ["10.0.0.0/24"]}, 1, str))


@pytest.mark.parametrize(
    ("given", "web_hosts", "refused"),
    [
        ({"certificates_source": "acme"}, 2, True),
        ({"certificates_source": "acme"}, 1, False),
        ({"certificates_source": "acme", "certificates_acme_hook_path": "dns.py"}, 2, False),
        ({"certificates_source": "acme", "nginx_proxy_protocol_enabled": False}, 2, False),
        ({"certificates_source": "provided"}, 2, False),
    ],
)
def test_web_hosts_behind_the_proxy_protocol_cannot_ask_each_other(
    given: dict[str, Any], web_hosts: int, refused: bool
) -> None:
    valid = {"nginx_proxy_protocol_enabled": True, "nginx_trusted_proxies": ["10.0.0.0/24"], **given}
    found = list(sentences.describe_proxies(valid, web_hosts, lambda: "nginx.yml:1"))
    assert ["the 2 web hosts could not ask each other" in sentence for sentence in found] == [True] * refused
