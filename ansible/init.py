#!/usr/bin/env python3
"""Write the inventory of a Django project, from what its files say.

    init.py --name shop --domain shop.example --source ../shop

It reads the project without running it, writes inventories/NAME with what differs from the defaults, generates its
secrets, and says what to do next. What it cannot find it asks on a terminal; elsewhere it says which option to give.
It replaces nothing that exists, and prints no secret.
"""

import argparse
import ast
import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "ansible/collections"))

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError  # noqa: E402
from ansible_collections.slipway.host.plugins.module_utils.git import git, reason, unattended, without_login  # noqa: E402
from ansible_collections.slipway.host.plugins.module_utils.inventory import network, rules  # noqa: E402
from ansible_collections.slipway.host.plugins.module_utils.secret import secret  # noqa: E402

SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__", "tests", "test", "migrations", "docs", "staticfiles"}
REQUIREMENTS = (
    *("uv.lock", "poetry.lock", "requirements/production.txt", "requirements/prod.txt", "requirements.txt"),
    *("requirements/base.txt", "pyproject.toml"),
)
PRODUCTION = ("production", "prod", "live", "deploy")
# The names that environments have, and what this inventory has for them.
DOMAIN_LIST = "{{ application_domain }}"
KNOWN = {
    "DJANGO_SECRET_KEY": "{{ application_secret_key }}",
    "DJANGO_ALLOWED_HOSTS": DOMAIN_LIST,
    "CSRF_TRUSTED_ORIGINS": "https://{{ application_domain }}",
    "DJANGO_CSRF_TRUSTED_ORIGINS": "https://{{ application_domain }}",
    "DJANGO_ADMIN_URL": "admin/",
}
DEBUG_NAMES = ("DEBUG", "DJANGO_DEBUG")
DATABASE_PARTS = {
    "HOST": "/run/postgresql",
    "PORT": "5432",
    "NAME": "{{ project_name }}",
    "DB": "{{ project_name }}",
    "DATABASE": "{{ project_name }}",
    "USER": "{{ project_name }}",
    "USERNAME": "{{ project_name }}",
    "PASSWORD": "{{ vault_database_password }}",
    "PASS": "{{ vault_database_password }}",
}
DATABASE_NAME = re.compile(
    r"(?:DJANGO_)?(?:POSTGRES|POSTGRESQL|PG|DB|DATABASE|SQL)_?(" + "|".join(DATABASE_PARTS) + ")"
)
ENGINE_NAME = re.compile(r"(?:DJANGO_)?(?:POSTGRES|POSTGRESQL|PG|DB|DATABASE|SQL)_?ENGINE")
ENGINES = {"postgis": "django.contrib.gis.db.backends.postgis", "mysql": "django.db.backends.mysql"}
BROKER_NAMES = {"CELERY_BROKER_URL", "BROKER_URL", "CELERY_BROKER", "AMQP_URL", "RABBITMQ_URL", "CLOUDAMQP_URL"}
# What the role sets for every project.
ROLE_SETS = {
    "ALLOWED_HOSTS",
    "DJANGO_SETTINGS_MODULE",
    "LOG_LEVEL",
    "SECRET_KEY",
    "WEB_CONCURRENCY",
    "WORKER_CONCURRENCY",
}
SERVERS = ("gunicorn", "uvicorn", "daphne", "hypercorn", "granian")
URL = {
    "database": "postgres://{{ project_name }}:{{ vault_database_password | urlencode | replace('/', '%2F') }}"
    "@/{{ project_name }}?host=/run/postgresql",
    "broker": "amqp://{{ project_name }}:{{ vault_broker_password | urlencode | replace('/', '%2F') }}"
    "@127.0.0.1:5672/{{ project_name }}",
}

MODULE = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"


# What an option must be: the test, the rule in words, an example.
RULES = {
    "name": rules.NAME,
    "domain": network.DOMAIN,
    "host": network.HOST,
    "folder": (
        lambda value: not Path(value).is_absolute() and ".." not in Path(value).parts,
        "it must be a path below SOURCE",
        "src",
    ),
    "settings": (
        lambda value: bool(re.fullmatch(MODULE, value)),
        "it must be a module with dots, and no file",
        "config.settings.production",
    ),
    "entry": (
        lambda value: bool(re.fullmatch(rf"{MODULE}:\w+", value)),
        "it must be a module and the name of the application in it",
        "config.wsgi:application",
    ),
    "celery": (
        lambda value: bool(re.fullmatch(rf"{MODULE}(:\w+)?", value)),
        "it must be a module with dots, and no file",
        "config.celery_app",
    ),
    "requirements": rules.REQUIREMENTS,
    "database": network.DATABASE,
    "broker": network.BROKER,
    "health": rules.HEALTH_PATH,
}
ADMINS = '# For example: [{name: ada, keys: ["ssh-ed25519 AAAA... ada@example.com"]}]\n'
VAULT = (
    "# Secrets, each in a file of .secrets/ beside this folder. To keep them in the repository instead,\n"
    "# replace the values and encrypt this file: ansible-vault encrypt inventories/{}/group_vars/all/vault.yml"
)


# --- reading a project ---------------------------------------------------------------------------------------------


def sources(folder):
    """The project's own Python files."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        yield from (Path(where, name) for name in sorted(files) if name.endswith(".py"))


def parse(path):
    try:
        return ast.parse(path.read_text(errors="replace"))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path} cannot be read as Python: {error}.") from error


def names(tree):
    """The names that a module has."""
    nodes = list(ast.walk(tree))
    found = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    found |= {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}
    return found | {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def module(path, folder):
    """The dotted name of a file."""
    name = ".".join(path.relative_to(folder).with_suffix("").parts)
    return name.removesuffix(".__init__")


def file_of(name, folder):
    path = folder.joinpath(*name.split("."))
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


def named_settings(path):
    """The settings module that manage.py, wsgi.py or asgi.py name, or None."""
    found = re.search(
        r"DJANGO_SETTINGS_MODULE[\"']\s*[,\]]\s*=?\s*[\"']([\w.]+)[\"']", path.read_text(errors="replace")
    )
    return found and found[1]


def find_folder(source, given):
    """Where manage.py is, relative to the source."""
    if given is not None:
        if not (source / given / "manage.py").is_file():
            raise UserError(f"There is no manage.py in {source / given}: give its folder with FOLDER=... (--folder).")
        return Path(given)
    found = [
        path.parent.relative_to(source) for depth in ("", "*/", "*/*/") for path in source.glob(f"{depth}manage.py")
    ]
    found = [path for path in found if not set(path.parts) & SKIPPED]
    if not found:
        deep = [path.parent.relative_to(source) for path in sources(source) if path.name == "manage.py"]
        if deep:
            raise UserError(
                f"There is no manage.py within three levels of {source}: give its folder with FOLDER={deep[0]}."
            )
        raise UserError(f"There is no manage.py in {source}, so it is no Django project: give another SOURCE=....")
    if len(found) > 1 and found[0].parts:
        names = ", ".join(map(str, found))
        raise UserError(f"There are several projects in {source} ({names}): name one with FOLDER=... (--folder).")
    return found[0]


def is_settings(path):
    """Whether a file that may be there has settings, or takes them over from another."""
    known = re.compile(r"^from \S+ import \*|^(ALLOWED_HOSTS|DATABASES|DEBUG|INSTALLED_APPS)\b", re.MULTILINE)
    return bool(
        path and ("settings" in f"{path.parent.name}/{path.name}" or known.search(path.read_text(errors="replace")))
    )


def find_settings(folder):
    """Candidates for the settings module, the best one first."""
    entries = [path for path in sources(folder) if path.name in ("wsgi.py", "asgi.py")]
    named = [named_settings(path) for path in (*entries, folder / "manage.py")]
    named = [name for name in named if name and file_of(name, folder)]
    packages = {name if file_of(name, folder).name == "__init__.py" else name.rpartition(".")[0] for name in named}
    shapes = [shape.format(word) for word in PRODUCTION for shape in ("{}", "settings_{}", "{}_settings")]
    siblings = [f"{package}.{shape}".strip(".") for package in sorted(packages) for shape in shapes]
    better = [name for name in siblings if is_settings(file_of(name, folder))]
    production = [name for name in named if set(name.split(".")[-1].split("_")) & set(PRODUCTION)]
    return list(dict.fromkeys([*production, *better, *named]))


class Settings:
    """What a settings module and those that it imports say, without running them."""

    def __init__(self, name, folder):
        self.folder = folder
        self.files, self.values, self.read = [], {}, {}
        self.visit(name)

    def visit(self, name):
        path = file_of(name, self.folder)
        if not path or path in self.files:
            return
        self.files.append(path)
        tree = parse(path)
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
                above = package.split(".")[: len(package.split(".")) - (node.level - 1)] if node.level else []
                self.visit(".".join([*above, *([node.module] if node.module else [])]))
        for node in tree.body:
            for target in node.targets if isinstance(node, ast.Assign) else []:
                if isinstance(target, ast.Name):
                    self.values[target.id] = (node.value, path, node.lineno)
        for node in ast.walk(tree):
            if found := environment_name(node):
                variable, required = found
                place = f"{path.relative_to(self.folder)}:{node.lineno}"
                known = self.read.get(variable)
                self.read[variable] = (required or bool(known and known[0]), known[1] if known else place)

    @property
    def text(self):
        return "\n".join(path.read_text(errors="replace") for path in self.files)

    def place(self, name):
        _, path, line = self.values[name]
        return f"{path.relative_to(self.folder)}:{line}"

    def literal(self, name):
        """The value of a setting that is written out, or None."""
        with contextlib.suppress(ValueError, KeyError):
            return ast.literal_eval(self.values[name][0])
        return None

    def expression(self, name):
        """What a setting is set to, as Python."""
        return ast.unparse(self.values[name][0]) if name in self.values else ""

    def folder_of(self, name):
        """A setting that is a path, relative to the project's folder, or None."""
        path = self.path_of(name)
        return str(path.relative_to(self.folder)) if path and path.is_relative_to(self.folder) else None

    def path_of(self, name):
        """A setting that is an absolute path, or None."""
        value, path, _ = self.values.get(name, (None, None, None))
        found = value is not None and self.evaluate(value, path)
        return Path(found) if found and Path(found).is_absolute() else None

    def evaluate(self, node, path, depth=0):
        """The value of an expression that makes a path, as far as it is of the usual kind."""
        again = lambda inner: self.evaluate(inner, path, depth + 1)  # noqa: E731 - a short name for a recursion
        if depth > 12:
            return None
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            if node.id == "__file__":
                return path
            if node.id in self.values:
                value, where, _ = self.values[node.id]
                return self.evaluate(value, where, depth + 1)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.Add)):
            left, right = again(node.left), again(node.right)
            if left and right and isinstance(node.op, ast.Div):
                return Path(left, str(right))
            return Path(f"{left}{right}") if left and right else None
        if isinstance(node, ast.Attribute) and node.attr == "parent":
            inner = again(node.value)
            return Path(inner).parent if inner else None
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
            inner, number = again(node.value.value), again(node.slice)
            return Path(inner).parents[number] if inner and isinstance(number, int) else None
        if isinstance(node, ast.Call):
            return self.call(node, again)
        return None

    def call(self, node, again):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        values = [again(inner) for inner in node.args]
        if name in ("resolve", "absolute") and isinstance(node.func, ast.Attribute):
            return again(node.func.value)
        if not values or None in values:
            return None
        if name == "dirname":
            return Path(values[0]).parent
        if name == "join":
            return Path(*map(str, values))
        return Path(values[0]) if name in ("Path", "str", "abspath", "realpath") else None


def environment_name(node):
    """The variable that an expression reads from the environment and whether it must be there, or None."""
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("os.environ", "environ", "env"):
        name = node.slice
        required = True
    elif isinstance(node, ast.Call):
        function = ast.unparse(node.func)
        usual = function in ("os.environ.get", "environ.get", "os.getenv", "getenv")
        package = re.fullmatch(r"(env|config|decouple\.config)(\.\w+)?", function)
        if not usual and not package:
            return None
        name = node.args[0] if node.args else None
        if name is None and function == "env.db":
            name = ast.Constant("DATABASE_URL")
        given = len(node.args) > 1 or any(word.arg == "default" for word in node.keywords)
        required = not usual and not given
    else:
        return None
    if isinstance(name, ast.Constant) and isinstance(name.value, str) and re.fullmatch(r"[A-Z][A-Z0-9_]*", name.value):
        return name.value, required
    return None


def find_celery(folder):
    """The module with the project's Celery app, or None."""
    for path in sources(folder):
        if re.search(r"^\w+\s*(?::[^=]+)?=\s*(?:celery\.)?Celery\(", path.read_text(errors="replace"), re.MULTILINE):
            return module(path, folder)
    return None


def covers(hosts, domain):
    """Whether a list such as ALLOWED_HOSTS has a domain in it."""
    return any(
        name in ("*", domain) or (name.startswith(".") and f".{domain}".endswith(name)) for name in map(str, hosts)
    )


def find_entry(folder, kind):
    """wsgi.py or asgi.py, as module:application, or None."""
    found = sorted((path for path in sources(folder) if path.name == f"{kind}.py"), key=lambda path: len(path.parts))
    return f"{module(found[0], folder)}:application" if found else None


def includes(folder, file):
    """The files that a file of requirements includes, relative to the folder."""
    text = (folder / file).read_text(errors="replace")
    found = re.findall(r"^(?:-r|--requirement)[ =]*(\S+)", text, re.MULTILINE)
    return [Path(file).parent / name for name in found]


def needs(folder, file):
    """The names of the packages that a file of requirements asks for."""
    text = (folder / file).read_text(errors="replace")
    for included in includes(folder, file):
        with contextlib.suppress(OSError):
            text += "\n" + (folder / included).read_text(errors="replace")
    names = re.findall(r"^([A-Za-z][\w.-]*)", text, re.MULTILINE) + re.findall(
        r"^name = \"([\w.-]+)\"", text, re.MULTILINE
    )
    names += ["daphne"] if re.search(r"\bchannels\[[^\]]*daphne", text) else []
    names += re.findall(r"[\"']([A-Za-z][\w.-]*)(?:\[[\w, -]*\])?\s*(?:[<>=~!;][^\"']*)?[\"']", text)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


# --- what the inventory says ---------------------------------------------------------------------------------------


class Project:
    """What was found, and what of it differs from the defaults of the roles."""

    def __init__(self, options, folder):
        self.options, self.folder, self.name = options, folder, options.name
        self.notes, self.variables, self.nginx, self.environment = [], {}, {}, {}
        self.groups, self.processes, self.missing = ["web"], [], []
        self.given_secrets = {}
        self.requirements = self.find_requirements()
        self.packages = needs(folder, self.requirements)
        self.settings_module = self.find_settings()
        self.settings = Settings(self.settings_module, folder)
        self.require_module("celery")
        self.celery = options.celery or find_celery(folder)
        self.require_module("entry")
        self.read_web()
        self.read_celery()
        self.read_broker()
        self.read_database()
        self.read_environment()
        self.read_folders()
        self.read_plain_settings()

    def find_requirements(self):
        given = self.options.requirements
        if given and not (self.folder / given).is_file():
            raise UserError(
                f"There is no {given} in {self.folder}: give a path from there with REQUIREMENTS=... (--requirements), "
                "such as ../requirements.txt."
            )
        if given and not Path(os.path.normpath(self.folder / given)).is_relative_to(self.options.source):
            raise UserError(f"REQUIREMENTS lies outside of SOURCE: name a file in {self.options.source}.")
        found = [given] if given else next(filter(None, map(self.requirements_in, self.ways_up())), None)
        if not found:
            raise UserError(
                f"There is no uv.lock, poetry.lock, requirements.txt or pyproject.toml in {self.folder}: write down "
                "what the project needs, or give the file with REQUIREMENTS=... (--requirements)."
            )
        parts = set(map(str, includes(self.folder, found[0])))
        if other := [name for name in found[1:] if name not in parts and Path(name).name != "pyproject.toml"]:
            self.notes.append(f"Installs what {found[0]} says, not {', '.join(other)}.")
        return found[0]

    def ways_up(self):
        """From the project's folder to the root of its source: "", "../" and so on."""
        return ["../" * up for up in range(len(self.folder.relative_to(self.options.source).parts) + 1)]

    def requirements_in(self, way):
        return [f"{way}{name}" for name in REQUIREMENTS if (self.folder / way / name).is_file()]

    def find_settings(self):
        name = self.options.settings or next(iter(find_settings(self.folder)), None)
        # What manage.py names, though it is not there, is told.
        name = name or named_settings(self.folder / "manage.py")
        name = name or ask("The settings module (such as config.settings.production)", "settings")
        if not file_of(name, self.folder):
            raise UserError(f"There is no settings module {name} in {self.folder}: give another SETTINGS=....")
        return name

    def require_module(self, option):
        """Refuse an option that names a module, and perhaps something in it, which the project does not have."""
        module, _, name = (getattr(self.options, option) or "").partition(":")
        if module and not file_of(module, self.folder):
            raise UserError(f"There is no module {module} in {self.folder}: give another {option.upper()}=....")
        if name and not {name, "*"} & names(parse(file_of(module, self.folder))):
            raise UserError(f"{module} has no {name}: give another {option.upper()}=....")

    def read_web(self):
        entry = self.options.entry
        asgi = find_entry(self.folder, "asgi")
        wsgi = find_entry(self.folder, "wsgi")
        text = "\n".join(path.read_text(errors="replace") for path in sources(self.folder) if path.name == "asgi.py")
        sockets = "websocket" in text.lower() or bool({"channels", "daphne"} & self.packages)
        servers = [name for name in SERVERS if name in self.packages]
        if not entry:
            is_asgi = asgi and (sockets or not wsgi or (servers and "gunicorn" not in servers))
            entry = asgi if is_asgi else wsgi
        if not entry:
            entry = self.options.entry = ask("The entry of the web server, such as config.wsgi:application", "entry")
            self.require_module("entry")
        kind = "asgi" if entry == asgi or "asgi" in entry else "wsgi"
        able = ("gunicorn",) if kind == "wsgi" else ("uvicorn", "daphne")
        if kind == "asgi" and "uvicorn-worker" in self.packages:
            able += ("gunicorn",)
        server = next((name for name in able if name in servers), None)
        if not server:
            wanted = "gunicorn" if kind == "wsgi" else "uvicorn[standard]"
            self.notes.append(
                f"{self.requirements} has no {wanted.split('[')[0]}, which the process web runs: add {wanted}, or "
                "change the command in application.yml; no host can build it before."
            )
            server = wanted.split("[")[0]
        command = {
            "gunicorn": f"gunicorn {entry} --forwarded-allow-ips '*'",
            "uvicorn": f"uvicorn {entry} --fd 3 --proxy-headers --forwarded-allow-ips '*' --no-access-log "
            "--timeout-graceful-shutdown 30",
            "daphne": f"daphne --fd 3 --proxy-headers {entry}",
        }[server]
        if kind == "asgi" and server == "gunicorn":
            command += " --worker-class uvicorn_worker.UvicornWorker"
        self.processes.append({"name": "web", "kind": "web", "command": command})
        if kind == "asgi" and sockets:
            self.nginx["nginx_websockets_enabled"] = True

    def read_celery(self):
        if not self.celery:
            if "celery" in self.packages:
                self.notes.append(
                    f"{self.requirements} has celery, and no Celery app is found: name its module with CELERY=..., or "
                    "no worker runs."
                )
            return
        start = f"celery -A {self.celery}"
        options = "--hostname $WORKER_NAME --concurrency $WORKER_CONCURRENCY --loglevel $LOG_LEVEL"
        self.processes.append({"name": "worker", "kind": "worker", "command": f"{start} worker {options}"})
        self.groups.append("worker")
        text = "\n".join(path.read_text(errors="replace") for path in sources(self.folder))
        if re.search(r"beat_schedule|add_periodic_task|django_celery_beat", text, re.IGNORECASE):
            data = "/srv/{{ application_name }}/data"
            schedule = "" if "django_celery_beat" in self.settings.text else f" --schedule {data}/celerybeat-schedule"
            # Two slots run side by side during a release: only one clock may tick.
            command = f"flock --no-fork {data}/beat.lock {start} beat{schedule} --loglevel $LOG_LEVEL"
            self.processes.append({"name": "beat", "kind": "beat", "command": command})
            self.groups.append("beat")

    def read_broker(self):
        reads = set(self.settings.read)
        if self.options.broker:
            self.variables["application_broker_url"] = self.given_url("broker")
            if not self.celery and not {"REDIS_URL", *BROKER_NAMES} & reads:
                self.notes.append(
                    "The settings read no CELERY_BROKER_URL, which says where BROKER is: let them read it."
                )
        elif self.celery and ("REDIS_URL" not in reads or BROKER_NAMES & reads):
            self.groups.append("broker")
            self.variables["application_broker_url"] = URL["broker"]

    def given_url(self, service):
        """The URL of a service that exists; one that may have a password in it is a secret."""
        url = getattr(self.options, service)
        if not set("@?") & set(url):
            return url
        self.given_secrets[f"{service}_url"] = url
        return f"{{{{ vault_{service}_url }}}}"

    def read_database(self):
        reads = self.settings.read
        reads_url = "DATABASE_URL" in reads or "dj_database_url.config" in self.settings.text
        parts = [name for name in reads if DATABASE_NAME.fullmatch(name)]
        if self.options.database:
            self.variables["application_database_url"] = self.given_url("database")
            self.fill(parts, self.parts_of_url())
            if not reads_url and not parts:
                self.notes.append("The settings read no DATABASE_URL, which says where DATABASE is: let them read it.")
            return
        if other := re.search(r"backends\.(mysql|oracle)", self.settings.expression("DATABASES")):
            self.notes.append(
                f"The settings use {other[1]}, and no server for it is made: say where yours is in "
                "application_environment, or let the settings use PostgreSQL."
            )
            return
        sqlite = re.search(r"(?:BASE_DIR|ROOT_DIR)\s*/\s*[\"']([\w.-]+\.sqlite3?)[\"']", self.settings.text)
        if reads_url or parts:
            self.groups.append("database")
            self.variables["application_database_url"] = URL["database"]
            self.fill(parts, DATABASE_PARTS)
        elif sqlite:
            self.variables["application_persistent_paths"] = [sqlite[1]]
            self.notes.append(
                f"The database is the file {sqlite[1]}: it stays on its host, in /srv/{self.name}/data. For "
                f"PostgreSQL, let the settings read DATABASE_URL, remove inventories/{self.name} and run this again."
            )
        else:
            self.notes.append("The settings name no database that is known: set what they need in application.yml.")

    def fill(self, names, parts):
        """Set the variables that have one part of the database's address each."""
        for name in names:
            self.environment[name] = parts[DATABASE_NAME.fullmatch(name)[1]]
        engine = ENGINES.get((self.options.database or "").partition("://")[0], "django.db.backends.postgresql")
        for name in filter(ENGINE_NAME.fullmatch, self.settings.read if names else ()):
            if "postgresql" not in engine or not re.search(rf"{name}[\"'][^)\n]*postg", self.settings.text):
                self.environment[name] = engine

    def parts_of_url(self):
        """The parts of DATABASE by the names that variables have for them."""
        url = urlsplit(self.options.database)
        if url.password:
            self.given_secrets["database_password"] = unquote(url.password)
        found = {
            "HOST": url.hostname or "",
            "PORT": str(url.port or ""),
            "NAME": unquote(url.path.strip("/")),
            "USER": unquote(url.username or ""),
            "PASSWORD": "{{ vault_database_password }}" if url.password else "",
        }
        also = {"DB": "NAME", "DATABASE": "NAME", "USERNAME": "USER", "PASS": "PASSWORD"}
        return found | {name: found[other] for name, other in also.items()}

    def read_environment(self):
        for name, (required, place) in sorted(self.settings.read.items()):
            if name in self.environment or name in ROLE_SETS or name == "DATABASE_URL":
                continue
            if name in DEBUG_NAMES:
                self.environment[name] = "0" if "int(" in self.settings.expression("DEBUG") else "False"
            elif name in KNOWN:
                self.environment[name] = KNOWN[name]
            elif name in BROKER_NAMES and "application_broker_url" in self.variables:
                if name != "CELERY_BROKER_URL":
                    self.environment[name] = "{{ application_broker_url }}"
            elif name == "REDIS_URL":
                given = (self.options.broker or "").startswith("redis")
                self.environment[name] = "{{ application_broker_url }}" if given else self.redis_url()
            elif required:
                self.missing.append((name, place))

    def redis_url(self):
        """A database of the host's own Redis that no other inventory uses."""
        taken = [int(n) for n in re.findall(r"redis://127\.0\.0\.1:6379/(\d+)", others(self.options.inventories))]
        self.variables["application_packages"] = ["redis-server"]
        return f"redis://127.0.0.1:6379/{max(taken, default=-1) + 1}"

    def read_folders(self):
        static = self.settings.folder_of("STATIC_ROOT")
        if static and static != "staticfiles":
            self.variables["application_static_folder"] = static
        if self.settings.path_of("STATIC_ROOT") and not static:
            self.notes.append(
                f"STATIC_ROOT ({self.settings.place('STATIC_ROOT')}) lies outside of the project, which no host can "
                "build: let the settings name a folder of the project."
            )
        if media := self.settings.folder_of("MEDIA_ROOT"):
            self.variables["application_media_folder"] = media
            url = self.settings.literal("MEDIA_URL")
            if isinstance(url, str) and url.strip("/") not in ("", "media"):
                self.nginx["nginx_media_url"] = f"/{url.strip('/')}/"
        url = self.settings.literal("STATIC_URL")
        if isinstance(url, str) and "//" not in url and url.strip("/") not in ("", "static"):
            self.nginx["nginx_static_url"] = f"/{url.strip('/')}/"

    def read_plain_settings(self):
        """Settings that are written out where they should differ between this machine and a server."""
        own = {}
        if self.settings.literal("DEBUG") is True:
            own["DEBUG"] = False
        hosts, origins = map(self.settings.literal, ("ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS"))
        if isinstance(hosts, list | tuple) and not covers(hosts, self.options.domain):
            own["ALLOWED_HOSTS"] = ["{{ application_domain }}"]
        if isinstance(origins, list | tuple) or "ALLOWED_HOSTS" in own:
            # Without its scheme and its star, an origin is a name as ALLOWED_HOSTS has them.
            trusted = [re.sub(r"^https://\*?", "", str(origin)) for origin in origins or []]
            if not covers(trusted, self.options.domain):
                own["CSRF_TRUSTED_ORIGINS"] = ["https://{{ application_domain }}"]
        if isinstance(self.settings.literal("SECRET_KEY"), str):
            own["SECRET_KEY"] = "{{ application_secret_key }}"  # noqa: S105 - a reference
        if own:
            places = ", ".join(f"{name} ({self.settings.place(name)})" for name in own if name in self.settings.values)
            self.notes.append(f"Written out in the settings, and replaced by application_settings: {places}.")
            own |= {"CSRF_COOKIE_SECURE": True, "SESSION_COOKIE_SECURE": True}
            own["SECURE_PROXY_SSL_HEADER"] = ["HTTP_X_FORWARDED_PROTO", "https"]
        if self.may_misread_debug():
            own["DEBUG"] = False
        if own:
            self.variables["application_settings"] = own

    def may_misread_debug(self):
        """Whether DEBUG is made of a text in a way that may take "False" for true."""
        said = self.settings.expression("DEBUG")
        cast = re.search(r"\.bool\(|cast", said) or re.search(r"\bDEBUG=\(bool", self.settings.text)
        return bool(said) and said != "False" and not cast

    def read_commit(self, top):
        """What a release needs and the last commit does not have."""
        if git(top, "rev-parse", "--verify", "--quiet", "HEAD").returncode:
            self.notes.append("A release is a commit, and the checkout has none: commit it first.")
            return
        own = [self.folder / "manage.py", Path(os.path.normpath(self.folder / self.requirements)), *self.settings.files]
        done = git(top, "ls-tree", "-r", "-z", "--name-only", "HEAD")
        lacks = sorted({str(path.relative_to(top)) for path in own} - set(done.stdout.split("\0")))
        if lacks:
            self.notes.append(f"A release is a commit, and the last one has no {', '.join(lacks)}: commit that first.")

    # --- files

    def files(self):
        """The text of each file of the inventory, by its path."""
        source = {"application_source_folder": self.options.folder}
        if self.options.repository:
            source = {"application_source_repository": self.options.repository, **source}
        else:
            # As it is from here, for whoever has both checkouts side by side.
            way = os.path.relpath(self.options.source, (self.options.inventories / self.name).resolve())
            source = {"application_source_path": f"{{{{ inventory_dir }}}}/{way}", **source}
        application = {
            **source,
            "application_requirements_file": self.requirements,
            "application_settings_module": self.settings_module,
            "application_processes": self.processes,
            "application_health_path": self.options.health,
            **self.variables,
            "application_secret_key": "{{ vault_secret_key }}",
        }
        if self.environment:
            application["application_environment"] = self.environment
        vault = {"secret_key": "secret_key"}
        every = {"application": application, "project": self.project()}
        if "database" in self.groups:
            vault["database_password"] = "database_password"  # noqa: S105 - a name
            every["postgresql"] = {"postgresql_password": "{{ vault_database_password }}"}
        if "broker" in self.groups:
            vault["broker_password"] = "broker_password"  # noqa: S105 - a name
            every["broker"] = {"broker_password": "{{ vault_broker_password }}"}
        if self.nginx:
            every["nginx"] = self.nginx
        files = {f"group_vars/all/{name}.yml": dump(values) for name, values in every.items()}
        files["group_vars/all/project.yml"] = files["group_vars/all/project.yml"].replace(
            "project_admins:", f"{ADMINS}project_admins:"
        )
        if self.missing:
            lines = [f"#   {name}: ...   ({place})" for name, place in self.missing]
            files["group_vars/all/application.yml"] += "\n".join(
                [
                    "# The settings need these too, in application_environment; secrets belong into vault.yml:",
                    *lines,
                    "",
                ]
            )
        vault |= {name: name for name in self.given_secrets}
        lines = [f"vault_{name}: \"{{{{ lookup('slipway.host.secret', '{file}') }}}}\"" for name, file in vault.items()]
        files["group_vars/all/vault.yml"] = "\n".join(["---", VAULT.format(self.name), *lines, ""])
        files["hosts.yml"] = self.hosts()
        self.secrets = {file: self.given_secrets.get(file) for file in vault.values()}
        return files

    def project(self):
        return {"project_name": self.name, "project_domain": self.options.domain, "project_admins": []}

    def hosts(self):
        host = self.options.host or self.options.domain
        lines = ["---", "all:", "  hosts:", f"    {host}:", "  children:"]
        for group in self.groups:
            lines += [f"    {group}:", "      hosts:", f"        {host}:"]
        return "\n".join([*lines, ""])


def dump(values):
    """YAML as people write it: one value a line, short lists and mappings in place."""
    lines = ["---"]
    for name, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{name}:"]
            for each in value:
                for number, (key, inner) in enumerate(each.items()):
                    lines.append(f"  {'-' if number == 0 else ' '} {key}: {scalar(inner)}")
        elif isinstance(value, dict) and value:
            lines += [f"{name}:", *(f"  {key}: {scalar(inner)}" for key, inner in value.items())]
        else:
            lines.append(f"{name}: {scalar(value)}")
    return "\n".join([*lines, ""])


def scalar(value):
    """A value on one line; JSON is YAML, and quotes where it must."""
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z/][\w./-]*( [\w./=-]+)*", value)
    words = ("true", "false", "yes", "no", "on", "off", "null")
    return value if plain and value.lower() not in words else json.dumps(value, ensure_ascii=False)


def others(inventories):
    """The text of what the other inventories set."""
    files = sorted(inventories.glob("*/group_vars/all/*.yml"))
    return "\n".join(path.read_text(errors="replace") for path in files)


def namesake(inventories, name, host):
    """The folder of an inventory that has a project of this name on this host, or None."""
    named = re.compile(rf"^project_name: [\"']?{re.escape(name)}[\"']?$", re.MULTILINE)
    hosts = re.compile(rf"^ +[\"']?{re.escape(host)}[\"']?:", re.MULTILINE)
    for path in sorted(inventories.glob("*/hosts.yml")):
        project = path.parent / "group_vars/all/project.yml"
        if project.is_file() and named.search(project.read_text()) and hosts.search(path.read_text()):
            return path.parent
    return None


# --- asking and writing --------------------------------------------------------------------------------------------


def unfit(option, value):
    """A sentence about a value that an option cannot have, or None. It does not show it, since URLs have passwords."""
    accepts, rule, example = RULES.get(option, (bool, "", ""))
    if accepts(value):
        return None
    return f"{option.upper()} does not fit: {rule}, for example {option.upper()}={example}."


def ask(what, option):
    """A person's answer that fits, or a refusal that names the option."""
    unknown = UserError(f"{what} is not known: give {option.upper()}=... (--{option}).")
    if not sys.stdin.isatty():
        raise unknown
    while True:
        try:
            answer = input(f"{what}: ").strip()
        except EOFError:
            answer = print()
        if not answer:
            raise unknown
        if not (sentence := unfit(option, answer)):
            return answer
        print(sentence)


@contextlib.contextmanager
def checkout(source):
    """The folder of a source: the checkout itself, or a copy of a repository."""
    if not re.match(r"[\w+.-]+://|[\w.-]+@[\w.-]+:", source):
        folder = Path(source).expanduser().resolve()
        if not folder.is_dir():
            raise UserError(f"There is no folder {folder}: give another SOURCE=... (--source).")
        done = git(folder, "rev-parse", "--show-toplevel")
        if done.returncode:
            raise UserError(f"{folder} is no git checkout, and a release is a commit: run `git init` there and commit.")
        yield Path(done.stdout.strip()), folder
        return
    # An address of SSH begins with a user, which is no secret.
    if re.match(r"https?://.*@|[\w+.-]+://[^/]*:[^/]*@", source):
        raise UserError(
            "SOURCE has a login in it, which would be committed: leave it to git's credential helper, or give an "
            "address of SSH, such as SOURCE=git@git.example:shop.git."
        )
    with tempfile.TemporaryDirectory() as scratch:
        done = git(scratch, "clone", "--quiet", "--depth=1", source, "clone", env=unattended())
        if done.returncode:
            raise UserError(f"{without_login(source)} cannot be fetched: {reason(done)}.")
        yield None, Path(scratch, "clone")


def arguments(words):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", help="short lower-case name of the project, and of its inventory")
    parser.add_argument("--domain", help="the host name under which people reach it")
    parser.add_argument("--source", help="its git checkout, or the address of a repository")
    parser.add_argument("--folder", help="folder of the source with manage.py in it")
    parser.add_argument("--host", help="where it will run: a name or an address; the domain if not given")
    parser.add_argument("--settings", help="Django's settings module for servers")
    parser.add_argument("--entry", help="the WSGI or ASGI application, as module:name")
    parser.add_argument("--celery", help="the module with the Celery app")
    parser.add_argument("--requirements", help="uv.lock, poetry.lock, requirements.txt or pyproject.toml")
    parser.add_argument("--health", default="", help="path that answers 200 when the project is ready")
    parser.add_argument("--database", help="URL of a database that exists already")
    parser.add_argument("--inventories", type=Path, default=ROOT / "inventories", help="folder to write it into")
    parser.add_argument("--broker", help="URL of a broker that exists already")
    # An empty option is one that make was not given.
    return parser.parse_args([word for word in words if not re.fullmatch(r"--\w+=", word)])


def main(words):
    options = arguments(words)
    for option in RULES:
        value = getattr(options, option)
        if value and (sentence := unfit(option, value)):
            raise UserError(sentence)
    options.name = options.name or ask("The project's name", "name")
    target = options.inventories / options.name
    if target.exists():
        raise UserError(f"{brief(target)} exists, and nothing is replaced: edit it, or give another NAME=....")
    options.domain = options.domain or ask("The domain", "domain")
    if re.search(
        rf"^project_domain: [\"']?{re.escape(options.domain)}[\"']?$", others(options.inventories), re.MULTILINE
    ):
        raise UserError(f"Another inventory has the domain {options.domain}: give each its own with DOMAIN=....")
    host = options.host or options.domain
    if other := namesake(options.inventories, options.name, host):
        raise UserError(f"{brief(other)} runs a project {options.name} on {host} already: give another NAME=....")
    options.source = options.source or ask("The project's git checkout", "source")
    with checkout(options.source) as (top, folder):
        options.repository = None if top else options.source
        inner = (folder / find_folder(folder, options.folder)).relative_to(top or folder)
        options.folder = "" if inner == Path() else str(inner)
        options.source = folder = top or folder
        project = Project(options, folder / options.folder)
        if top:
            project.read_commit(top)
        files = project.files()
    write(target, files, project.secrets)
    report(project, files, target)


def brief(path):
    """A path as one types it here."""
    return path.resolve().relative_to(Path.cwd()) if path.resolve().is_relative_to(Path.cwd()) else path


def write(target, files, secrets):
    """The whole inventory appears at once, or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as scratch:
        draft = Path(scratch, target.name)
        for name, text in files.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_text(text)
        for name, value in secrets.items():
            secret(draft / ".secrets", name, value)
        shutil.move(draft, target)


def report(project, files, target):
    place = brief(target)
    print(f"Wrote {place}: {', '.join(sorted(files))}; secrets are in its .secrets/.\n")
    print(f"  settings      {project.settings_module}")
    print(f"  requirements  {project.requirements}")
    for each in project.processes:
        print(f"  {each['name']:<13} {each['command']}")
    for note in project.notes:
        print(f"\n{note}")
    if project.missing:
        names = "\n".join(f"  {variable}  ({place})" for variable, place in project.missing)
        file = f"{place}/group_vars/all/application.yml"
        print(f"\nThe settings also need these variables; set them in application_environment, in {file}:\n{names}")
    print(f"\nName your administrators in {place}/group_vars/all/project.yml and the host in hosts.yml, then:")
    print(f"\n  make provision ENV={project.name}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as refusal:
        sys.exit(f"{refusal} Nothing was written.")
    except KeyboardInterrupt:
        sys.exit("\nNothing was written.")
