"""What the templates of roles make of the roles' own defaults: what must never be missing from a host's files."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from repository import ROOT

GIVEN: dict[str, Any] = {
    "project_name": "shop",
    "project_domain": "shop.example",
    "nginx_upstream_socket": "/srv/shop/current/web.sock",
    "ansible_managed": "Ansible manages this file",
    "ansible_facts": {"all_ipv6_addresses": ["fe80::1"]},
}


def templar(role: str, inventory: Path, **given: Any) -> Templar:
    """What knows a role's variables, for an inventory that says no more than it must."""
    loader = DataLoader()
    values: dict[str, Any] = {}
    for file in ("project/defaults", f"{role}/defaults", f"{role}/vars"):
        path = ROOT / "roles" / file / "main.yml"
        values |= loader.load_from_file(str(path), trusted_as_template=True) if path.exists() else {}
    values |= {**GIVEN, "ansible_role_name": role, "inventory_dir": str(inventory), **given}
    return Templar(loader=loader, variables=values)


def render(role: str, name: str, inventory: Path, **given: Any) -> list[str]:
    """The lines of a template, as the role would write them."""
    folder = ROOT / "roles" / role / "templates"
    knows = templar(role, inventory, **given).copy_with_new_env(searchpath=[str(folder)])
    text = knows.template(trust_as_template((folder / name).read_text()))
    return [line.strip() for line in str(text).splitlines()]


def block(lines: list[str], opening: str) -> list[str]:
    """The lines in the first block that begins with `opening`; blocks inside it count too."""
    start = next(index for index, line in enumerate(lines) if line.startswith(opening))
    depth = 0
    for end, line in enumerate(lines[start:], start):
        depth += line.count("{") - line.count("}")
        if depth == 0:
            return lines[start + 1 : end]
    raise AssertionError(f"the block {opening} never ends")


@pytest.fixture
def site(tmp_path: Path) -> list[str]:
    return render("nginx", "project.conf.j2", tmp_path)


@pytest.mark.parametrize("path", ["/api/auth/login/", "/admin/login/"])
def test_logins_are_limited(site: list[str], path: str) -> None:
    """Without it, a password is guessed as fast as the application can answer."""
    locations = [line for line in site if (found := re.match(r"location ~ (\S+) {", line)) and re.match(found[1], path)]
    limits = [line for line in block(site, locations[0]) if line.startswith("limit_req ")]
    assert limits == ["limit_req zone=logins_shop burst=10 nodelay;"]
    assert "limit_req_zone $login_client_shop zone=logins_shop:1m rate=30r/m;" in site
    assert "POST $client;" in block(site, "map $request_method $login_client_shop")


@pytest.mark.parametrize("location", ["location / {", "location ~ ^(/api/auth/login/"])
def test_a_client_has_some_requests_at_once(tmp_path: Path, location: str) -> None:
    """It would fill the queue of the application. A browser asks for less, and static files are not counted."""
    given = {"nginx_client_requests_count": 30}
    lines = render("nginx", "project.conf.j2", tmp_path, **given)
    # A server before it redirects.
    assert "limit_conn clients_shop 30;" in block(lines[lines.index("client_max_body_size 10m;") :], location)
    assert lines.count("limit_conn clients_shop 30;") == 2
    assert "http2_max_concurrent_streams 15;" in lines
    assert "limit_conn_zone $client zone=clients_shop:1m;" in lines


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "$request_host"),
        ("X-Real-IP", "$remote_addr"),
        ("X-Forwarded-For", "$remote_addr"),
        ("X-Forwarded-Host", "$request_host"),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Proto", "https"),
        # What is empty is not sent.
        *((name, '""') for name in ("Forwarded", "X-Forwarded-Server", "X-Client-IP", "X-Original-URL", "Proxy")),
    ],
)
def test_a_client_does_not_choose_where_it_comes_from_and_leads_to(site: list[str], name: str, value: str) -> None:
    """The application counts failed logins by the address, and writes links with the host."""
    assert [line for line in site if line.startswith(f"proxy_set_header {name} ")] == [
        f"proxy_set_header {name} {value};"
    ]


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:0:10::7", "2001:db8:0:10::"),
        # Bytes that are a line's end, and all that one may be.
        ("2001:db8:a0a:a0a:a0a:a0a:a0a:a0a", "2001:db8:a0a:a0a::"),
        # As some proxies write an address of IPv4.
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:ffff:cb00:7107", "::"),
    ],
)
def test_who_shares_64_bits_of_ipv6_is_one_client(tmp_path: Path, address: str, client: str) -> None:
    """Any customer has as many addresses of IPv6 as a limit would take to count."""
    entries = block(render("nginx", "nginx.conf.j2", tmp_path), "map $binary_remote_addr $client {")
    assert entries[0] == "default $binary_remote_addr;"
    packed = ip_address(address).packed
    patterns = [re.findall(r'^"~(.+)" \$(\w+);$', line)[0] for line in entries[1:]]
    found = [
        match.group(name)
        for pattern, name in patterns
        if (match := re.search(pattern.replace("?<", "?P<").encode(), packed))
    ]
    assert (found[0] if found else packed) == ip_address(client).packed[: 4 if "." in client else 8]


@pytest.mark.parametrize("servers", [1, 2], ids=["alone", "with a front end"])
@pytest.mark.parametrize(("protocol", "header"), [(False, "X-Forwarded-For"), (True, "proxy_protocol")])
def test_trusted_proxies_say_who_the_client_is_and_nobody_else(
    tmp_path: Path, servers: int, protocol: bool, header: str
) -> None:
    given: dict[str, Any] = {
        "nginx_trusted_proxies": ["10.0.0.0/24", "fd00::/64"],
        "nginx_proxy_protocol_enabled": protocol,
        "nginx_frontend_domains": ["app.example"][: servers - 1],
        "nginx_frontends_path": "/srv/shop/frontends",
        "nginx_earlier_frontends_path": "/srv/shop/frontend_files",
    }
    lines = render("nginx", "project.conf.j2", tmp_path, **given)
    # One more redirects.
    for line in ("set_real_ip_from 10.0.0.0/24;", "set_real_ip_from fd00::/64;", f"real_ip_header {header};"):
        assert lines.count(line) == servers + 1
    assert lines.count("real_ip_recursive on;") == servers + 1
    assert len([line for line in lines if line.startswith("set_real_ip_from")]) == 2 * (servers + 1)
    listening = [line for line in lines if line.startswith("listen ")]
    assert all(("proxy_protocol" in line) == protocol for line in listening)


def test_each_name_serves_redirects_or_is_cut_off(tmp_path: Path) -> None:
    given = {
        "project_other_domains": ["www.shop.example", "*.shop.example"],
        "project_redirect_domains": ["old.example"],
    }
    lines = render("nginx", "project.conf.j2", tmp_path, **given)
    plain, serving, moved = [line for line in lines if line.startswith("server_name ")]
    assert plain == "server_name shop.example www.shop.example *.shop.example old.example;"
    assert serving == "server_name shop.example www.shop.example *.shop.example;"
    assert moved == "server_name old.example;"
    assert "return 308 https://shop.example$request_uri;" in lines[lines.index(moved) :]


def test_the_application_answers_to_each_name_that_serves(tmp_path: Path) -> None:
    given = {
        "project_other_domains": ["www.shop.example", "*.shop.example"],
        "project_redirect_domains": ["old.example"],
    }
    found = templar("application", tmp_path, **given).template(trust_as_template("{{ application_allowed_hosts }}"))
    assert found == ["shop.example", "www.shop.example", ".shop.example"]


def test_a_certificate_is_for_all_names(tmp_path: Path) -> None:
    frontends = [{"domain": "app.example", "path": "/srv/app"}]
    given = {"project_other_domains": ["*.shop.example"], "project_redirect_domains": ["old.example"]}
    knows = templar("certificates", tmp_path, project_frontends=frontends, **given)
    found = knows.template(trust_as_template("{{ certificates_names }}"))
    assert found == ["shop.example", "*.shop.example", "old.example", "app.example"]


def test_no_name_but_the_project_s_reaches_more_than_the_health_check(tmp_path: Path) -> None:
    for name in ("port.conf.j2", "health.conf.j2"):
        lines = render("nginx", name, tmp_path, item={"port": 443, "tls": True}, nginx_health_path="/up")
        locations = [line for line in lines if line.startswith("location ")]
        assert locations == [{"port.conf.j2": "location / {", "health.conf.j2": "location = /up {"}[name]]
    assert "proxy_set_header Host shop.example;" in lines
    assert "return 444;" in block(
        render("nginx", "port.conf.j2", tmp_path, item={"port": 80, "tls": False}), "location /"
    )
    assert not [line for line in render("nginx", "health.conf.j2", tmp_path) if line.startswith("location")]


@pytest.mark.parametrize(
    ("path", "sent", "forbidden"),
    [
        ("/admin/", "/admin/", True),
        ("/admin/users/", "//admin/users/", True),
        ("/admin/", "/%61dmin/", True),
        # nginx and the application may read these otherwise.
        ("/", "/admin/..", True),
        ("/admin/", "/x/../admin/", True),
        ("/api/admin/", "/api/admin/", False),
        ("/", "/?next=/admin/", False),
        # The answer to who is refused.
        ("/.error", "/admin/", False),
    ],
)
def test_a_private_path_is_for_its_networks(tmp_path: Path, path: str, sent: str, forbidden: bool) -> None:
    private = {"path": "/admin/", "networks": ["10.8.0.0/24"]}
    lines = render("nginx", "project.conf.j2", tmp_path, nginx_private_paths=[private])
    assert block(lines, "geo $outside_1_shop") == ["default outside;", '10.8.0.0/24 "";']
    (pattern,) = [
        line.removesuffix('" 1;').removeprefix('"~')
        for line in block(lines, 'map "$outside_1_shop $uri $request_uri" $forbidden_1_shop')
        if line.endswith(" 1;")
    ]
    assert bool(re.search(pattern, f"outside {path} {sent}")) == forbidden
    assert not re.search(pattern, f" {path} {sent}")
    assert block(lines, "if ($forbidden_1_shop)") == ["return 403;"]


def test_a_site_for_a_few_asks_for_a_password(tmp_path: Path) -> None:
    given = {"nginx_basic_auth_users": {"ada": "one two"}}
    lines = render("nginx", "project.conf.j2", tmp_path, **given)
    (pattern,) = [line.split('"')[1] for line in block(lines, 'map "$request_method $uri" $realm_shop') if "/" in line]
    for path in ("/health/ready/", "/.well-known/acme-challenge/token", "/.error", "/.maintenance"):
        assert re.search(pattern.removeprefix("~"), f"GET {path}")
    for path in ("/", "/api/health/", "/.errors", "/static/"):
        assert not re.search(pattern.removeprefix("~"), f"GET {path}")
    assert "include /etc/nginx/users/shop.conf;" in lines
    assert "auth_basic $realm_shop;" in render("nginx", "users.conf.j2", tmp_path, **given)
    assert "auth_basic $realm_shop;" not in render("nginx", "users.conf.j2", tmp_path)
    assert render("nginx", "users.j2", tmp_path, **given)[-1] == "ada:{PLAIN}one two"


@pytest.mark.parametrize(
    ("own", "other", "bits"), [(False, False, {"128", "256"}), (True, False, {"256"}), (False, True, {"256"})]
)
def test_one_project_makes_the_ciphers_of_a_host_strict(tmp_path: Path, own: bool, other: bool, bits: set[str]) -> None:
    projects = {"slipway_other": {"tls_strict": other}, "slipway_old": {}}
    facts = {**GIVEN["ansible_facts"], "ansible_local": projects}
    lines = render("nginx", "nginx.conf.j2", tmp_path, nginx_tls_strict_enabled=own, ansible_facts=facts)
    (ciphers,) = [line for line in lines if line.startswith("ssl_ciphers ")]
    assert set(re.findall(r"AES(\d+)", ciphers)) == bits
    assert ciphers.count("CHACHA20") == 2
    chosen = [line for line in lines if line.startswith("ssl_conf_command Ciphersuites ")]
    assert [re.findall(r"AES_(\d+)", line) for line in chosen] == [["256"]] * ("128" not in bits)


def test_no_proxy_is_trusted_by_default(site: list[str]) -> None:
    assert not [line for line in site if "real_ip" in line]


@pytest.mark.parametrize("status", ["400", "414", "494"])
def test_a_malformed_request_is_answered_by_a_location_with_a_path(site: list[str], status: str) -> None:
    """nginx makes a 500 of it where the location has a name, since the request has no path that it knows."""
    (answer,) = [line for line in site if re.search(rf"error_page [0-9 ]*\b{status}\b", line)]
    assert re.search(rf"error_page [0-9 ]*\b{status}\b[0-9 ]*(=431)? /\.error;", answer)


@pytest.mark.parametrize("name", ["project.conf.j2", "port.conf.j2"])
@pytest.mark.parametrize(("addresses", "found"), [(["fe80::1"], True), ([], False)])
def test_ipv6_is_listened_on_where_the_host_has_it(
    tmp_path: Path, name: str, addresses: list[str], found: bool
) -> None:
    """Elsewhere nginx would not start."""
    given = {"ansible_facts": {"all_ipv6_addresses": addresses}, "item": {"port": 80, "tls": False}}
    lines = render("nginx", name, tmp_path, **given)
    assert any(line.startswith("listen [::]:80") for line in lines) == found
    assert any(line.startswith("listen 80") for line in lines)


def test_a_web_host_passes_the_question_of_an_acme_server_on_once(tmp_path: Path, site: list[str]) -> None:
    """Two hosts that passed it on to each other would never end."""
    question = r"location ~ ^/\.well-known/acme-challenge/(?P<challenge>[\w-]+)$ {"
    assert "try_files $uri =404;" in block(site, question)
    given = {"nginx_challenge_addresses": ["10.0.0.12", "fd00::12"], "nginx_http_port": 8080}
    several = render("nginx", "project.conf.j2", tmp_path, **given)
    assert "try_files $uri @elsewhere;" in block(several, question)
    servers = ["server 10.0.0.12:8080 max_fails=0;", "server [fd00::12]:8080 max_fails=0;"]
    assert block(several, "upstream challenges_shop {") == servers
    (passed,) = [line for line in several if line.startswith("proxy_pass http://challenges_shop")]
    assert passed == "proxy_pass http://challenges_shop/.well-known/slipway-challenge/$challenge;"
    assert not [line for line in block(several, "location /.well-known/slipway-challenge/ {") if "@" in line]


@pytest.mark.parametrize(
    ("given", "more", "none"),
    [
        ({}, {"authenticator": "webroot", "register-unsafely-without-email": "true"}, {"eab-kid", "email"}),
        (
            {"certificates_acme_hook_path": "/home/ada/hook"},
            {
                "authenticator": "manual",
                "preferred-challenges": "dns",
                "manual-auth-hook": "/var/lib/slipway-certificate/shop/hook add",
                "manual-cleanup-hook": "/var/lib/slipway-certificate/shop/hook remove",
            },
            {"webroot-path"},
        ),
        (
            {"certificates_acme_account_id": "kid", "certificates_acme_account_secret": "hmac"},
            {"eab-kid": "kid", "eab-hmac-key": "hmac"},
            set(),
        ),
        (
            {"certificates_acme_email": "ops@shop.example"},
            {"email": "ops@shop.example"},
            {"register-unsafely-without-email"},
        ),
    ],
)
def test_certbot_is_told_what_the_inventory_says(
    tmp_path: Path, given: dict[str, str], more: dict[str, str], none: set[str]
) -> None:
    names = {"certificates_names": ["shop.example", "*.shop.example"]}
    lines = render("certificates", "certbot.ini.j2", tmp_path, **names, **given)
    told = dict(line.split(" = ", 1) for line in lines if " = " in line)
    assert {"domains": "shop.example,*.shop.example", "key-type": "ecdsa", **more}.items() <= told.items()
    assert not none & set(told)


def test_a_boot_starts_the_timers_of_the_release_and_not_their_commands(tmp_path: Path) -> None:
    units = [{"name": "web", "kind": "web"}, {"name": "nightly", "kind": "timer"}]
    lines = render("application", "boot.service.j2", tmp_path, __application_units_here=units)
    (start,) = [line for line in lines if line.startswith("ExecStart=")]
    assert re.findall(r'"shop-(.+?)"', start) == ["web@$slot.socket", "web@$slot.service", "nightly@$slot.timer"]


def test_ssh_takes_keys_alone(tmp_path: Path) -> None:
    known = {"stdout_lines": ["diffie-hellman-group1-sha1", "curve25519-sha256", "mlkem768x25519-sha256"]}
    lines = render("ssh", "sshd.conf.j2", tmp_path, __ssh_known_key_exchanges=known)
    settings = dict(line.split(" ", 1) for line in lines if line and line[0] != "#")
    assert {
        "PermitRootLogin": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "AuthenticationMethods": "publickey",
        "AllowTcpForwarding": "no",
        "KexAlgorithms": "mlkem768x25519-sha256,curve25519-sha256",
    }.items() <= settings.items()


def test_the_firewall_drops_what_no_rule_accepts(tmp_path: Path) -> None:
    rules = block(render("firewall", "nftables.conf.j2", tmp_path), "chain input {")
    assert rules[0] == "type filter hook input priority filter; policy drop;"


def test_traffic_of_containers_is_none_of_the_firewall_s(tmp_path: Path) -> None:
    """A chain that drops it would drop it for all tables."""
    assert "hook forward" not in render("firewall", "nftables.conf.j2", tmp_path)


def test_a_cache_asks_for_its_password_and_has_a_limit(tmp_path: Path) -> None:
    lines = render("cache", "redis.conf.j2", tmp_path, **{"cache_password": 'a "b" \\'})
    settings = dict(line.split(" ", 1) for line in lines if " " in line and line[0] != "#")
    assert {
        "bind": "127.0.0.1",
        "port": "6380",
        "requirepass": r'"a \"b\" \\"',
        "maxmemory": "128mb",
        "maxmemory-policy": "volatile-lru",
    }.items() <= settings.items()


def test_a_cache_writes_only_where_what_is_kept_must_last(tmp_path: Path) -> None:
    given: dict[str, Any] = {"cache_password": "x", "project_name": "shop"}
    assert "appendonly no" in render("cache", "redis.conf.j2", tmp_path, **given)
    given["cache_persistent"] = True
    lines = render("cache", "redis.conf.j2", tmp_path, **given)
    assert {"appendonly yes", "dir /var/lib/redis-cache/shop"} <= set(lines)
    assert "StateDirectory=redis-cache/shop" in render("cache", "redis-cache.service.j2", tmp_path, **given)


def test_a_cache_for_other_hosts_takes_tls_alone(tmp_path: Path) -> None:
    given = {"cache_password": "x", "cache_listen_addresses": ["10.0.0.5"]}
    lines = render("cache", "redis.conf.j2", tmp_path, **given)
    assert {"bind 10.0.0.5", "port 0", "tls-port 6380"} <= set(lines)
    unit = render("cache", "redis-cache.service.j2", tmp_path, **given)
    assert "LoadCredential=privkey.pem:/etc/ssl/shop/internal/privkey.pem" in unit


@pytest.mark.parametrize(
    ("own", "path"),
    [({}, "/usr/local/lib/shop"), ({"PYTHONPATH": "src"}, "/usr/local/lib/shop:src")],
)
def test_settings_are_read_through_the_inventory_s_and_a_project_keeps_its_path(
    tmp_path: Path, own: dict[str, str], path: str
) -> None:
    given = {"application_environment": own, "application_secret_key": "x", "application_web_workers_count": 2}
    wanted = "PYTHONPATH", "DJANGO_SETTINGS_MODULE", "PROJECT_SETTINGS_MODULE"
    # One by one: a filter of the collection makes another of them.
    texts = [f"{{{{ __application_settings_environment.{name} }}}}" for name in wanted]
    found = [templar("application", tmp_path, **given).template(trust_as_template(text)) for text in texts]
    assert found == [path, "inventory_settings", "config.django.production"]
