"""What an operator is told about an inventory: what is wrong, where it is set, what to write instead."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.slipway.host.plugins.module_utils.inventory import network
from ansible_collections.slipway.host.plugins.module_utils.inventory.specs import (
    Option,
    advice,
    broken_rule,
    is_secret,
)

# Looked for only when there is something to say.
Where = Callable[[], str]
# Where the application learns of each service, and where a line for it is.
SERVICES = {
    "database": ("application_database_url", "inventories/production"),
    "broker": ("application_broker_url", "inventories/production"),
    "cache": ("application_cache_url", "roles/cache/README.md"),
}
NOT_BUILT = "which has no index.html and assets/: build the front end first, the example with `make spa`."
PORTS = ("project_http_port", "project_https_port")


def describe_value(name: str, option: Option, value: Any, where: Where) -> str | None:
    """A sentence about a value that its option does not allow, or None."""
    if not (rule := broken_rule(name, option, value)):
        return None
    shown = "hidden" if is_secret(option) else json.dumps(value, ensure_ascii=False, default=str)
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    return f"{name} is {shown}, in {where()}: {rule}. {advice(name, option)}"


def describe_unknown(name: str, specs: Iterable[str], prefixes: Iterable[str], where: Where) -> str | None:
    """A sentence about a name that no role knows although it looks as if one should, or None."""
    alike = difflib.get_close_matches(name, specs, n=1, cutoff=0.8)
    ours = name.startswith(tuple(f"{prefix}_" for prefix in prefixes))
    misspelt = alike and difflib.get_close_matches(name.split("_")[0], prefixes, cutoff=0.8)
    if name in specs or not (ours or misspelt):
        return None
    return f"{name}, in {where()}, is not known." + (f" Did you mean {alike[0]}?" if alike else " Remove it.")


def describe_failure(name: str, option: Option, error: Exception, where: Where, folder: Path) -> str:
    """A sentence about a value that cannot be computed."""
    if missing := re.search(r"'(\w+)' is undefined", str(error)):
        file = f"{folder}/group_vars/all/{'vault' if missing[1].startswith('vault_') else 'project'}.yml"
        return f"{name}, in {where()}, needs {missing[1]}, which is not defined: add it to {file}."
    # The lookup `secret` speaks of a file, and never of what is in it.
    if missing := re.search(r"\S+ is missing, and a URL cannot be generated.*\.", str(error)):
        return f"{name}, in {where()}: {missing[0]}"
    # Nor does Ansible, of what it cannot decrypt.
    if "vault secrets" in str(error):
        return describe_encrypted(f"{name}, in {where()},", str(error))
    reason = "it cannot be computed" if is_secret(option) else str(error).splitlines()[0].rstrip(".")
    return f"{name}, in {where()}: {reason}. {advice(name, option)}"


def describe_encrypted(what: str, reason: str) -> str:
    """A sentence about a file or a value for which Ansible has no password, or another one."""
    return (
        f"{what} is encrypted and cannot be read: {reason.splitlines()[0].rstrip('.')}. Name the file that has its "
        "password, as in `ANSIBLE_VAULT_PASSWORD_FILE=~/.vault-password make ...`."
    )


def describe_missing(name: str, file: str, option: Option, folder: Path) -> str:
    description = option["description"] if isinstance(option["description"], str) else option["description"][0]
    return f"{name} is missing in {folder}/group_vars/all/{file}.yml: {description} {advice(name, option)}"


def is_built(folder: Path) -> bool:
    """Whether a front end lies there as its build tool leaves it."""
    return (folder / "index.html").is_file() and (folder / "assets").is_dir()


def describe_frontends(valid: Mapping[str, Any], where: Where) -> Iterator[str]:
    """Sentences about front ends that cannot work, each value being right by itself."""
    frontends = valid.get("project_frontends") or []
    domains = [frontend["domain"] for frontend in frontends]
    for path in (frontend["path"] for frontend in frontends if not is_built(Path(frontend["path"]))):
        yield f"project_frontends, in {where()}, names {path}, {NOT_BUILT}"
    port = int(valid["project_https_port"])
    for origin in (f"https://{domain}" + (f":{port}" if port != 443 else "") for domain in domains):
        if origin not in valid.get("project_frontend_origins", []):
            yield (
                f"project_frontends, in {where()}, serves {origin}, which may not call the API: add it to "
                "project_frontend_origins."
            )


def describe_names(valid: Mapping[str, Any], place: Callable[[str], str]) -> Iterator[str]:
    """Sentences about names that are there twice, each of which can lead to one thing alone."""
    names = {name: valid.get(name) or [] for name in ("project_other_domains", "project_redirect_domains")}
    names["project_frontends"] = [frontend["domain"] for frontend in valid.get("project_frontends") or []]
    seen = {valid.get("project_domain"): "project_domain"}
    for variable, domain in ((variable, domain) for variable, domains in names.items() for domain in domains):
        if domain in seen:
            yield f"{variable}, in {place(variable)}, names {domain}, which {seen[domain]} has: name it in one of them."
        seen[domain] = variable


def describe_ports(valid: Mapping[str, Any], where: Where) -> Iterator[str]:
    """A sentence about HTTP and HTTPS on one port."""
    ports = {int(valid[name]) for name in PORTS}
    if len(ports) < len(PORTS):
        yield f"{' and '.join(PORTS)} are both {ports.pop()}, in {where()}: each needs its own port."


def describe_proxies(valid: Mapping[str, Any], web_hosts: int, where: Where) -> Iterator[str]:
    """Sentences about a balancer that would hide every client, or what an ACME server asks."""
    if not valid.get("nginx_proxy_protocol_enabled"):
        return
    asked = valid.get("certificates_source") == "acme" and not valid.get("certificates_acme_hook_path")
    if asked and web_hosts > 1:
        yield (
            f"nginx_proxy_protocol_enabled is true, in {where()}, and the {web_hosts} web hosts could not ask each "
            "other for what an ACME server wants to see: set certificates_acme_hook_path to a program that sets a DNS "
            "record, or let the balancer send X-Forwarded-For instead."
        )
    if not valid.get("nginx_trusted_proxies"):
        yield (
            f"nginx_proxy_protocol_enabled is true, in {where()}, and no proxy is trusted, so that all clients have "
            "the address of the balancer: add its network to nginx_trusted_proxies."
        )


def is_own(given: Mapping[str, Any]) -> bool:
    """Whether the project is Slipway's own application, whose processes no inventory has to name."""
    return "application_processes" not in given


def describe_own_broker(given: Mapping[str, Any], valid: Mapping[str, Any], where: Where) -> Iterator[str]:
    """A sentence about a broker that other projects could use.

    Which transports a project can use is its own affair. Of Slipway's application we know it.
    """
    name, rule = "application_broker_url", network.OWN_BROKER
    if is_own(given) and valid.get(name) and not rule.accepts(valid[name]):
        yield f"{name} is hidden, in {where()}: {rule.words}. Write for example `{name}: {json.dumps(rule.example)}`."


def describe_login(given: Mapping[str, Any], valid: Mapping[str, Any], where: Where) -> Iterator[str]:
    """A sentence about an inventory that nobody could use again once root's login is closed."""
    if valid.get("ssh_root_login_enabled"):
        return
    user = given.get("ansible_user")
    if user == "root":
        yield (
            f"ansible_user is root, in {where()}, and root's login is closed: name yourself there and in "
            "project_admins, and run `make provision LOGIN=root` the first time."
        )
    elif given.get("ansible_ssh_user") == "root" and not user and not valid.get("project_admins"):
        yield (
            "This run logs in as root, whose login it closes, and nobody else may log in: name yourself in "
            "project_admins, with your public key."
        )


def describe_unused(given: Mapping[str, Any], valid: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Sentences about services of this inventory that its project would not know how to reach."""
    for service, (name, example) in SERVICES.items():
        needed = service in given["group_names"] or (is_own(given) and service != "cache")
        # One that is wrong has a sentence already.
        if not valid.get(name, given.get(name)) and needed:
            yield (
                f"{name} is missing in {folder}/group_vars/all/application.yml: it says where the {service} is. Take "
                f"the line of {example}, or empty the group {service} in {folder}/hosts.yml."
            )
