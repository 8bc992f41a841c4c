"""Check every value that an inventory sets, before any host is touched, and report all that is wrong at once.

One task, anywhere in a play without facts, checks all hosts; it runs on the controller, opens no connection and
changes nothing. It reads what roles accept from `roles/*/meta/argument_specs.yml`. Beyond types and choices, the end
of a variable's name is a promise about its value: CONVENTIONS lists them. A value whose option says `no_log: true` is
never shown.
"""

from __future__ import annotations

import contextlib
import difflib
import ipaddress
import json
import re
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import ArgumentTypeError, ElementError
from ansible.playbook.helpers import load_list_of_blocks
from ansible.playbook.play import Play
from ansible.plugins.action import ActionBase
from ansible.template import Templar

ROOT = Path(__file__).resolve().parents[3]
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}$){LABEL}(\.{LABEL})*")
ORIGIN = re.compile(rf"(?P<scheme>https?)://(?P<host>{LABEL}(\.{LABEL})*)(:(?P<port>[1-9][0-9]{{0,4}}))?")
EMAIL = re.compile(rf"[^@\s]+@{LABEL}(\.{LABEL})*")


def is_whole(minimum, maximum=2**31):
    return lambda value: isinstance(value, int) and minimum <= value <= maximum


def is_match(pattern):
    return lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))


def is_origin(value):
    parts = isinstance(value, str) and ORIGIN.fullmatch(value)
    if not parts or int(parts["port"] or 1) > 65535:
        return False
    if (parts["scheme"], parts["port"]) in (("https", "443"), ("http", "80")):
        return False
    local = parts["host"] in ("localhost", "127.0.0.1") or parts["host"].endswith(".localhost")
    return parts["scheme"] == "https" or local


# Debian's own users and groups, those of packages that hosts have, and the units that a project's own would replace.
TAKEN = set(
    """
    adm admin audio backup bin cdrom crontab daemon dialout dip disk fax floppy games gnats input irc kmem kvm
    list lp mail man news nobody nogroup operator plugdev proxy render root sasl sgx shadow src staff sudo sync sys tape
    tty users utmp uucp uuidd video voice www-data
    epmd messagebus netdev polkitd postgres rabbitmq ssl-cert sshd syslog tcpdump
    apparmor auditd chrony cron dbus fail2ban getty logrotate networking nftables nginx ntp ntpsec polkit postgresql
    rabbitmq-server redis redis-server rsync rsyslog ssh ufw unattended-upgrades user valkey valkey-server
    """.split()  # noqa: SIM905 - a list of a hundred lines says no more
)


def is_name(value):
    """A name of our own for a user, a database, units and folders."""
    shape = isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9-]{0,23}", value)
    return bool(shape) and value not in TAKEN and not value.startswith("systemd")


def is_environment(value):
    shape = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
    return all(shape.fullmatch(str(name)) and isinstance(text, (str, int, float)) for name, text in value.items())


def is_address(value):
    with contextlib.suppress(ValueError):
        return isinstance(value, str) and bool(ipaddress.ip_address(value))
    return False


def is_network(value):
    """Also a single address has its prefix: PostgreSQL takes it for a host name without."""
    with contextlib.suppress(ValueError):
        return isinstance(value, str) and "/" in value and bool(ipaddress.ip_network(value))
    return False


def is_built(folder):
    """Whether a front end lies there as its build tool leaves it."""
    return Path(folder, "index.html").is_file() and Path(folder, "assets").is_dir()


def is_processes(value):
    """Names that units can have, one socket for the web processes, one clock."""
    names = {each["name"] for each in value if re.fullmatch(r"[a-z][a-z0-9]{0,15}", each["name"])} - {"release"}
    counts = [1 if each.get("count") is None else each["count"] for each in value if each["kind"] == "worker"]
    several = any((each.get("count") or 1) > 1 for each in value if each["kind"] != "worker")
    web = all((each["kind"] == "web") == (each["name"] == "web") for each in value)
    beats = [each for each in value if each["kind"] == "beat"]
    commands = all(each["command"].strip() for each in value)
    return (
        len(names) == len(value) and commands and web and len(beats) < 2 and not several and min(counts, default=1) > 0
    )


def is_inner_path(value):
    """A path inside the project's folder."""
    parts = Path(value).parts
    return bool(re.fullmatch(r"[\w.@+-][\w.@+/-]*", value)) and ".." not in parts and not value.startswith(".")


def is_requirements(value):
    name = Path(value).name
    inner = re.sub(r"^(\.\./)+", "", value)
    return is_inner_path(inner) and (name in ("uv.lock", "poetry.lock", "pyproject.toml") or name.endswith(".txt"))


def is_url_path(value):
    return value == "" or bool(re.fullmatch(r"/([\w.-]+/)+", value))


BROKERS = ("amqp", "amqps", "redis", "rediss", "redis+socket", "sentinel", "sqs")


def is_broker(value):
    with contextlib.suppress(ValueError):
        urls = [urlsplit(url) for url in re.split(r";(?=sentinel://)", value)]
        # A port that is no number shows only when it is read; SQS has none, and keys with any character.
        return value == "" or all(url.scheme in BROKERS and (url.scheme == "sqs" or url.port != 0) for url in urls)
    return False


NAME_RULE = "it must be a short name of lower-case letters, digits and hyphens that no user or unit of the system has"
# What the end of a name promises: the test, the rule in words, an example.
CONVENTIONS = {
    "project_name": (is_name, NAME_RULE, "shop"),
    "application_name": (is_name, NAME_RULE, "shop"),
    "application_user": (is_name, NAME_RULE, "shop"),
    "application_environment": (
        is_environment,
        "each name must be letters, digits and underscores, and each value text or a number",
        {"EMAIL_HOST": "smtp.example.org"},
    ),
    "application_processes": (
        is_processes,
        "each has a command and a name of its own, lower-case letters and digits; that of kind web is named web, and "
        "it and that of kind beat are there once (give the server more workers in its command instead)",
        [{"name": "web", "kind": "web", "command": "gunicorn config.wsgi:application"}],
    ),
    "application_broker_url": (
        is_broker,
        f"it must begin with one of {', '.join(f'{name}://' for name in BROKERS)}, and its port must be one",
        "amqp://shop:PASSWORD@127.0.0.1:5672/shop",
    ),
    "application_settings": (
        lambda value: all(re.fullmatch(r"[A-Z][A-Z0-9_]*", str(name)) for name in value),
        "each name must be that of a Django setting, in upper-case letters",
        {"ALLOWED_HOSTS": ["shop.example.org"]},
    ),
    "application_requirements_file": (
        is_requirements,
        "it must be a path from the project's folder to uv.lock, poetry.lock, pyproject.toml or a list named .txt",
        "requirements.txt",
    ),
    "application_persistent_paths": (
        lambda value: all(map(is_inner_path, value)),
        "each must be a path in the project's folder",
        ["db.sqlite3", "uploads/"],
    ),
    "application_static_folder": (is_inner_path, "it must be a path in the project's folder", "staticfiles"),
    "application_media_folder": (
        lambda value: value == "" or is_inner_path(value),
        "it must be a path in the project's folder",
        "media",
    ),
    "application_health_path": (
        lambda value: value == "" or bool(re.fullmatch(r"/\S*", value)),
        "it must be a path that begins with a slash and has no spaces, or empty",
        "/health/",
    ),
    "_static_url": (is_url_path, "it must be a path that begins and ends with a slash", "/static/"),
    "_media_url": (is_url_path, "it must be a path that begins and ends with a slash, or empty", "/media/"),
    "_port": (is_whole(1, 65535), "a port is a whole number from 1 to 65535", 8443),
    "_seconds": (is_whole(1), "it must be a whole number of seconds above 0", 30),
    "_days": (is_whole(1), "it must be a whole number of days above 0", 30),
    "_count": (is_whole(1), "it must be a whole number above 0", 3),
    "_per_minute": (is_whole(1), "it must be a whole number above 0", 60),
    "_mb": (is_whole(0), "it must be a whole number of megabytes, 0 for none", 512),
    "_percent": (is_whole(1, 100), "it must be a whole number from 1 to 100", 25),
    "_path": (is_match(re.compile(r"/[^\0\n]*")), "it must be an absolute path", "/srv/example"),
    "_domain": (
        is_match(HOST_NAME),
        "it must be a host name in lower case, without scheme or port",
        "api.example.org",
    ),
    "_domains": (
        lambda value: all(map(is_match(HOST_NAME), value)),
        "each must be a host name in lower case, without scheme or port",
        ["app.example.org"],
    ),
    "_frontends": (
        lambda value: all(is_match(HOST_NAME)(each["domain"]) and each["path"].startswith("/") for each in value),
        "each domain must be a host name, and each path an absolute one on this machine",
        [{"domain": "app.example.org", "path": "/srv/example/dist"}],
    ),
    "_listen_addresses": (
        lambda value: all(map(is_address, value)),
        "each must be an IP address of the host, or 0.0.0.0 for all that it has",
        ["10.0.0.5"],
    ),
    "_networks": (
        lambda value: all(map(is_network, value)),
        "each must be a network in CIDR notation whose address is its first, or an address followed by /32",
        ["10.0.0.0/24", "10.0.1.5/32"],
    ),
    "_private_ports": (
        lambda value: all(
            is_whole(1, 65535)(rule["port"]) and all(map(is_network, rule["networks"])) for rule in value
        ),
        "each port is a whole number from 1 to 65535, and each network is in CIDR notation",
        [{"port": 5432, "networks": ["10.0.0.0/24"]}],
    ),
    "_email": (lambda value: value == "" or is_match(EMAIL)(value), "it must be an address", "ops@example.org"),
    "_origins": (
        lambda value: all(map(is_origin, value)),
        "each origin must be scheme://host[:port] as a browser sends it: lower case, no path, no wildcard, no port "
        "that the scheme implies, and https unless the host is localhost",
        ["https://app.example.org"],
    ),
}
# Where a role runs; what the others need, every host does.
ROLE_GROUPS = {"application": ["web", "worker", "beat"], "broker": ["broker"], "postgresql": ["database"]}
PORTS = ("project_http_port", "project_https_port")
WORDS = {
    "bool": "true or false",
    "dict": "a mapping",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "path": "an absolute path",
    "str": "text; quote what YAML would read as something else",
}
SHAPES = {"list": list, "dict": dict, "path": str, "str": (str, int, float)}


def read_specs(root):
    """Every option by name: {name: (the file in group_vars/all that sets it, option)}."""
    specs = {}
    for path in sorted(root.glob("roles/*/meta/argument_specs.yml")):
        options = yaml.safe_load(path.read_text())["argument_specs"]["main"].get("options") or {}
        specs |= {name: (path.parts[-3], option) for name, option in options.items()}
    return specs


def read_prefixes(root):
    return sorted(path.name for path in root.glob("roles/*") if path.is_dir())


def is_secret(option):
    return bool(option.get("no_log")) or any(map(is_secret, (option.get("options") or {}).values()))


def sample(name, option):
    """A value that would pass, to show in a message."""
    convention = next((example for end, (_, _, example) in CONVENTIONS.items() if name.endswith(end)), None)
    if option.get("no_log") and convention is None:
        return f"{{{{ vault_{name} }}}}"
    kind = option.get("type", "str")
    if option.get("choices"):
        value = option["choices"][0]
    elif convention is not None:
        value = convention
    elif option.get("options"):
        value = {key: sample(key, part) for key, part in option["options"].items() if part.get("required")}
    else:
        value = {"int": 10, "float": 0.5, "bool": True, "dict": {}}.get(kind, "example")
    return value if kind != "list" or isinstance(value, list) else [value]


def broken_rule(name, option, value):
    """The rule that `value` breaks, in words, or None."""
    kind = option.get("type", "str")
    if value is None or (option.get("required") and value in ("", [], {})):
        return "it must not be empty"
    if not isinstance(value, SHAPES.get(kind, object)) or (isinstance(value, bool) and kind in ("str", "int", "float")):
        return f"it must be {WORDS[kind]}"
    if kind == "list" and option.get("elements") == "dict" and not all(isinstance(each, dict) for each in value):
        return "each element must be a mapping"
    parts = (option.get("options") or {}) if kind == "list" else {}
    for part in (part for part, inner in parts.items() if inner.get("type") == "list"):
        # Ansible would split a text at its commas here, and the role would not.
        if not all(isinstance(each.get(part, []), list) for each in value):
            return f"{part} of each element must be a list"
    outcome = ArgumentSpecValidator({name: option}).validate({name: value})
    for error in outcome.errors.errors:
        if type(error) is ArgumentTypeError:
            return f"it must be {WORDS.get(kind, kind)}"
        if type(error) is ElementError:
            return f"each element must be {WORDS.get(option['elements'], option['elements'])}"
        return "it does not fit its specification" if is_secret(option) else error.msg.rstrip(".")
    value = outcome.validated_parameters[name]
    # A whole name says more than its end, and comes first.
    accepts, rule, _ = next((found for end, found in CONVENTIONS.items() if name.endswith(end)), (None, None, None))
    return rule if accepts and not accepts(value) else None


def advice(name, option):
    return f"Write for example `{name}: {json.dumps(sample(name, option), ensure_ascii=False)}`."


def describe_value(name, option, value, where):
    """A sentence about a value that its option does not allow, or None."""
    if not (rule := broken_rule(name, option, value)):
        return None
    shown = "hidden" if is_secret(option) else json.dumps(value, ensure_ascii=False, default=str)
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    return f"{name} is {shown}, in {where()}: {rule}. {advice(name, option)}"


def describe_unknown(name, specs, prefixes, where):
    """A sentence about a name that no role knows although it looks as if one should, or None."""
    alike = difflib.get_close_matches(name, specs, n=1, cutoff=0.8)
    ours = name.startswith(tuple(f"{prefix}_" for prefix in prefixes))
    misspelt = alike and difflib.get_close_matches(name.split("_")[0], prefixes, cutoff=0.8)
    if name in specs or not (ours or misspelt):
        return None
    return f"{name}, in {where()}, is not known." + (f" Did you mean {alike[0]}?" if alike else " Remove it.")


def describe_failure(name, option, error, where, folder):
    """A sentence about a value that cannot be computed."""
    if missing := re.search(r"'(\w+)' is undefined", str(error)):
        file = f"{folder}/group_vars/all/{'vault' if missing[1].startswith('vault_') else 'project'}.yml"
        return f"{name}, in {where()}, needs {missing[1]}, which is not defined: add it to {file}."
    # The lookup `secret` speaks of a file, and never of what is in it.
    if missing := re.search(r"\S+ is missing, and a URL cannot be generated.*\.", str(error)):
        return f"{name}, in {where()}: {missing[0]}"
    reason = "it cannot be computed" if is_secret(option) else str(error).splitlines()[0].rstrip(".")
    return f"{name}, in {where()}: {reason}. {advice(name, option)}"


def describe_frontends(valid, where):
    """Sentences about front ends that cannot work, each value being right by itself."""
    frontends = valid["project_frontends"]
    domains = [frontend["domain"] for frontend in frontends]
    for path in (frontend["path"] for frontend in frontends if not is_built(frontend["path"])):
        yield (
            f"project_frontends, in {where}, names {path}, which has no index.html and assets/: build the front end "
            "first, the example with `make spa`."
        )
    if len({*domains, valid.get("project_domain")}) <= len(domains):
        yield f"project_frontends, in {where}, names a domain that project_domain or another front end has."
    port = int(valid["project_https_port"])
    for origin in (f"https://{domain}" + (f":{port}" if port != 443 else "") for domain in domains):
        if origin not in valid.get("project_frontend_origins", []):
            yield (
                f"project_frontends, in {where}, serves {origin}, which may not call the API: add it to "
                "project_frontend_origins."
            )


HOOKS = ("before_migrate", "before_switch", "after_switch", "after_failure")
NEEDED = {
    "database": ("application_database_url", "application"),
    "broker": ("application_broker_url", "application"),
}


def describe_unused(given, valid, folder):
    """Sentences about services of this inventory that its project would not know how to reach."""
    groups = given["group_names"]
    if not {"web", "worker", "beat"} & set(groups):
        return
    ours = "application_processes" not in given
    for service, (name, file) in NEEDED.items():
        # One that is wrong has a sentence already.
        if not valid.get(name, given.get(name)) and (ours or service in groups):
            yield (
                f"{name} is missing in {folder}/group_vars/all/{file}.yml: it says where the {service} is. Take the "
                f"line of inventories/production, or empty the group {service} in {folder}/hosts.yml."
            )


def describe_hooks(folder, loader):
    """Sentences about tasks of the operator's that Ansible could not even read, in the middle of a release."""
    for path in (folder / f"{name}.yml" for name in HOOKS):
        if not path.is_file():
            continue
        try:
            tasks = loader.load_from_file(str(path))
            reason = None if isinstance(tasks, list) else "it begins with no dash"
            if not reason:
                load_list_of_blocks(tasks, play=Play(), loader=loader)
        except AnsibleError as error:
            reason = " ".join(error.message.split()).rstrip(".")
        if reason:
            yield f"{brief(path)} is no list of tasks that Ansible knows: {reason}. Write tasks as in a role's file."


def describe_missing(name, file, option, folder):
    description = option["description"] if isinstance(option["description"], str) else option["description"][0]
    return f"{name} is missing in {folder}/group_vars/all/{file}.yml: {description} {advice(name, option)}"


def find(name, folder, host, groups):
    """Where `name` is set for `host`, as file:line, the strongest place first."""
    setting = re.compile(rf"(^|[\s{{,\"']){name}[\"']?\s*[:=]")
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in ("", ".ini", ".json", ".yaml", ".yml")]
    files = [path for path in files if path.is_file() and ".secrets" not in path.relative_to(folder).parts]
    scopes = [f"host_vars/{host}", *(f"group_vars/{group}" for group in groups), "group_vars/all", ""]
    for scope in scopes:
        for path in files:
            inner = path.relative_to(folder).as_posix()
            if re.match(rf"{re.escape(scope)}(\.|/|$)" if scope else r"(?!host_vars/|group_vars/)", inner):
                for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                    if setting.search(line) and not line.lstrip().startswith("#"):
                        return f"{brief(path)}:{number}"
    return "the command line"


def brief(path):
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


class ActionModule(ActionBase):
    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        self.specs, self.prefixes = read_specs(ROOT), read_prefixes(ROOT)
        self.defaults = {}
        for path in sorted(ROOT.glob("roles/*/defaults/main.yml")):
            self.defaults |= self._loader.load_from_file(str(path), trusted_as_template=True) or {}
        self.hostvars = task_vars["hostvars"]
        hosts, found, seen = task_vars["groups"]["all"], {}, set()
        for host in hosts:
            variables = task_vars["hostvars"].raw_get(host)
            folder = Path(variables.get("inventory_dir") or Path.cwd())
            seen |= set(variables)
            for sentence in self.problems(host, variables, folder):
                found.setdefault(sentence, []).append(host)
        for name, (file, option) in self.specs.items():
            used = any(task_vars["groups"].get(group) for group in ROLE_GROUPS.get(file, ["all"]))
            if used and option.get("required") and name not in seen:
                found[describe_missing(name, file, option, brief(folder))] = hosts
        lines = [line if len(on) == len(hosts) else f"{line} (On {', '.join(on)}.)" for line, on in found.items()]
        if lines:
            message = "\n- ".join(["The inventory needs a change:", *lines])
            result |= {"failed": True, "problems": lines, "msg": message}
        return result | {"changed": False}

    def problems(self, host, variables, folder):
        """Sentences about what `host` gets from its inventory."""
        # No facts yet: what needs them fails here by that name, and the role checks it when the host is known.
        known = {name: value for name, value in variables.items() if name != "ansible_facts"}
        templar = Templar(loader=self._loader, variables={**self.defaults, **known, "hostvars": self.hostvars})
        valid = {name: self.defaults[name] for name in PORTS}
        for name, raw in sorted(variables.items()):
            spec = self.specs.get(name)
            if raw is None and spec and self.defaults.get(name, "") is None:
                continue
            where = partial(find, name, folder, host, variables["group_names"])
            if not spec:
                if sentence := describe_unknown(name, self.specs, self.prefixes, where):
                    yield sentence
                continue
            try:
                value = templar.template(raw)
            except AnsibleError as error:
                if "'ansible_facts' is undefined" not in str(error):
                    yield describe_failure(name, spec[1], error, where, brief(folder))
                continue
            if sentence := describe_value(name, spec[1], value, where):
                yield sentence
            else:
                valid[name] = value
        yield from describe_unused(variables, valid, brief(folder))
        yield from describe_hooks(Path(valid.get("application_hooks_path") or folder / "hooks"), self._loader)
        if valid.get("project_frontends"):
            where = find("project_frontends", folder, host, variables["group_names"])
            yield from describe_frontends(valid, where)
        ports = {name: int(valid[name]) for name in PORTS}
        if len(set(ports.values())) < len(ports):
            where = find("project_https?_port", folder, host, variables["group_names"])
            yield f"{' and '.join(ports)} are both {ports['project_http_port']}, in {where}: each needs its own port."
