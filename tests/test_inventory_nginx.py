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
    (sentence,) = sentences.describe_proxies(valid, lambda: "nginx.yml:1")
    assert sentence.startswith("nginx_proxy_protocol_enabled is true, in nginx.yml:1, and no proxy is trusted")
    assert not list(sentences.describe_proxies({**valid, "nginx_trusted_proxies": ["10.0.0.0/24"]}, str))
