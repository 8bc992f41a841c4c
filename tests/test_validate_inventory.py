"""The check that runs before any host is touched: what it refuses, what it says, what it never shows."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.host.plugins.action import validate_inventory as plugin
from repository import ROOT

OPTIONS = {
    "shop_http_port": {"type": "int", "description": "Port."},
    "shop_name": {"type": "str", "required": True, "description": "Name."},
    "shop_domain": {"type": "str", "description": "Host name."},
    "shop_frontend_origins": {"type": "list", "elements": "str", "description": "Origins."},
    "shop_other_domains": {"type": "list", "elements": "str", "description": "Host names."},
    "shop_frontends": {
        "type": "list",
        "elements": "dict",
        "description": "Front ends.",
        "options": {"domain": {"type": "str", "required": True}, "path": {"type": "path", "required": True}},
    },
    "shop_listen_addresses": {"type": "list", "elements": "str", "description": "Addresses."},
    "shop_client_networks": {"type": "list", "elements": "str", "description": "Networks."},
    "shop_private_ports": {
        "type": "list",
        "elements": "dict",
        "description": "Ports.",
        "options": {
            "port": {"type": "int", "required": True},
            "networks": {"type": "list", "elements": "str", "required": True},
        },
    },
    "shop_timeout_seconds": {"type": "int", "description": "Time."},
    "shop_memory_mb": {"type": "int", "description": "Memory."},
    "shop_share_percent": {"type": "int", "description": "Share."},
    "shop_data_path": {"type": "str", "description": "Folder."},
    "shop_contact_email": {"type": "str", "description": "Address."},
    "shop_debug_enabled": {"type": "bool", "description": "Debug."},
    "shop_source": {"type": "str", "choices": ["acme", "provided"], "description": "Source."},
    "shop_people": {
        "type": "list",
        "elements": "dict",
        "description": "People.",
        "options": {"name": {"type": "str", "required": True}, "age": {"type": "int"}},
    },
    "shop_api_key": {"type": "str", "no_log": True, "choices": ["only-this-key"], "description": "Key."},
}

PROJECT_OPTIONS = {
    "project_http_port": {"type": "int", "description": "Port."},
    "project_https_port": {"type": "int", "description": "Port."},
    "project_name": {"type": "str", "required": True, "description": "Name of the project."},
    "project_domain": {"type": "str", "description": "Host name."},
    "project_frontends": OPTIONS["shop_frontends"],
    "project_frontend_origins": OPTIONS["shop_frontend_origins"],
}

# Names whose whole is a promise, not only their end.
NAMED = {
    "project_name": {"type": "str", "required": True, "description": "Name."},
    "application_environment": {"type": "dict", "no_log": True, "description": "Environment."},
    "application_broker_url": {"type": "str", "no_log": True, "description": "Broker."},
    "application_health_path": {"type": "str", "description": "Path."},
    "application_media_folder": {"type": "str", "description": "Folder."},
    "application_persistent_paths": {"type": "list", "elements": "str", "description": "Paths."},
    "application_requirements_file": {"type": "str", "description": "File."},
    "application_settings": {"type": "dict", "no_log": True, "description": "Settings."},
    "application_processes": {
        "type": "list",
        "elements": "dict",
        "description": "Processes.",
        "options": {
            "name": {"type": "str", "required": True},
            "kind": {"type": "str", "required": True, "choices": ["web", "worker", "beat"]},
            "command": {"type": "str", "required": True},
            "count": {"type": "int"},
        },
    },
}


def process(name, kind="worker", command="celery", **more):
    return {"name": name, "kind": kind, "command": command, **more}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("project_name", "My shop"),
        ("project_name", "../etc"),
        ("project_name", "postgres"),
        ("project_name", "a" * 25),
        ("application_environment", {"BAD KEY": "hidden"}),
        ("application_environment", {"EMPTY": None}),
        ("application_broker_url", "kafka://127.0.0.1"),
        ("application_broker_url", "127.0.0.1:5672"),
        ("application_broker_url", "amqp://shop:secret@broker.example:port/shop"),
        ("application_broker_url", "amqp://shop:secret@broker.example:70000/shop"),
        ("application_health_path", "health"),
        ("application_media_folder", "/srv/media"),
        ("application_persistent_paths", ["../db.sqlite3"]),
        ("application_requirements_file", "setup.py"),
        ("application_requirements_file", "/srv/uv.lock"),
        ("application_requirements_file", "locks/../uv.lock"),
        ("application_settings", {"debug": False}),
        ("application_processes", [process("Worker")]),
        ("application_processes", [process("mail-worker")]),
        ("application_processes", [process("release")]),
        ("application_processes", [process("worker", kind="cron")]),
        ("application_processes", [process("site", kind="web")]),
        ("application_processes", [process("web")]),
        ("application_processes", [process("web", kind="web", count=2)]),
        ("application_processes", [process("one", kind="beat"), process("two", kind="beat")]),
        ("application_processes", [process("mail"), process("mail")]),
        ("application_processes", [process("mail", command=" ")]),
        ("application_processes", [process("mail", count=0)]),
        ("shop_http_port", 70000),
        ("shop_http_port", 0),
        ("shop_http_port", True),
        ("shop_http_port", "https"),
        ("shop_http_port", None),
        ("shop_name", ""),
        ("shop_name", False),
        ("shop_name", ["shop"]),
        ("shop_domain", ""),
        ("shop_domain", "https://shop.example.org"),
        ("shop_domain", "shop.example.org:8443"),
        ("shop_domain", "shop_example.org"),
        ("shop_domain", "-shop.example.org"),
        ("shop_domain", "shop.example.org\n"),
        ("shop_domain", f"{'a' * 64}.example.org"),
        ("shop_frontend_origins", "https://app.example.org"),
        ("shop_frontend_origins", ["app.example.org"]),
        ("shop_frontend_origins", ["https://app.example.org/"]),
        ("shop_frontend_origins", ["https://*.example.org"]),
        ("shop_frontend_origins", ["*"]),
        ("shop_frontend_origins", ["null"]),
        ("shop_frontend_origins", [None]),
        ("shop_frontend_origins", ["http://app.example.org"]),
        ("shop_frontend_origins", ["http://localhost.example.org"]),
        ("shop_frontend_origins", ["https://app.example.org:443"]),
        ("shop_frontend_origins", ["https://app.example.org:70000"]),
        ("shop_frontend_origins", ["https://App.example.org"]),
        ("shop_frontend_origins", ["https://user@app.example.org"]),
        ("shop_frontend_origins", ["https://app.example.org", "ftp://app.example.org"]),
        ("shop_other_domains", ["https://app.example.org"]),
        ("shop_frontends", [{"domain": "https://app.example.org", "path": "/srv/app"}]),
        ("shop_frontends", [{"domain": "app.example.org", "path": "dist"}]),
        ("shop_frontends", [{"domain": "app.example.org"}]),
        ("shop_frontends", ["domain=app.example.org path=/srv/app"]),
        ("shop_listen_addresses", ["db.example.org"]),
        ("shop_listen_addresses", ["*"]),
        ("shop_client_networks", ["10.0.0.5"]),
        ("shop_client_networks", ["10.0.0.5/24"]),
        ("shop_client_networks", ["web.example.org"]),
        ("shop_private_ports", [5432]),
        ("shop_private_ports", [{"port": 5432}]),
        ("shop_private_ports", [{"port": 70000, "networks": ["10.0.0.0/24"]}]),
        ("shop_private_ports", [{"port": 5432, "networks": ["10.0.0.5"]}]),
        ("shop_private_ports", [{"port": 5432, "networks": "10.0.0.0/24"}]),
        ("shop_timeout_seconds", 0),
        ("shop_timeout_seconds", -5),
        ("shop_timeout_seconds", 1.5),
        ("shop_memory_mb", -1),
        ("shop_share_percent", 101),
        ("shop_data_path", "srv/shop"),
        ("shop_contact_email", "somebody"),
        ("shop_debug_enabled", "perhaps"),
        ("shop_source", "magic"),
        ("shop_people", {"name": "Ada"}),
        ("shop_people", ["Ada"]),
        ("shop_people", [{"age": 36}]),
        ("shop_people", [{"name": "Ada", "age": "old"}]),
        ("shop_people", [{"name": "Ada", "nmae": "Ada"}]),
        ("shop_api_key", "s3cret"),
    ],
)
def test_a_wrong_value_becomes_one_sentence_with_a_right_example(name, value):
    sentence = plugin.describe_value(name, (OPTIONS | NAMED)[name], value, lambda: "group_vars/all/shop.yml:3")
    assert sentence.startswith(f"{name} is ")
    assert ", in group_vars/all/shop.yml:3: " in sentence
    assert "<class" not in sentence
    assert "\n" not in sentence
    # Nothing is known of this secret but that it is one.
    if name != "shop_api_key":
        example = yaml.safe_load(sentence.split("Write for example `")[1].rstrip("`."))
        assert plugin.broken_rule(name, (OPTIONS | NAMED)[name], example[name]) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("project_name", "shop-2"),
        ("application_environment", {"EMAIL_HOST": "smtp.example.org", "EMAIL_PORT": 587}),
        ("application_broker_url", ""),
        ("application_broker_url", "rediss://redis.example.org/3"),
        ("application_broker_url", "amqp://shop:a;b@[2001:db8::1]:5672/shop"),
        ("application_broker_url", "sentinel://one.example:26379;sentinel://two.example:26379"),
        ("application_broker_url", "sqs://"),
        ("application_health_path", ""),
        ("application_media_folder", "shop/media"),
        ("application_persistent_paths", ["db.sqlite3", "var/uploads/"]),
        ("application_requirements_file", "requirements/production.txt"),
        ("application_requirements_file", "poetry.lock"),
        ("application_settings", {"ALLOWED_HOSTS": ["shop.example.org"]}),
        (
            "application_processes",
            [process("web", kind="web"), process("mail", count=3), process("clock", kind="beat")],
        ),
        ("shop_http_port", 8443),
        ("shop_http_port", "8443"),
        ("shop_domain", "localhost"),
        ("shop_domain", "xn--bcher-kva.example"),
        ("shop_frontend_origins", []),
        ("shop_frontend_origins", ["http://localhost:5173", "http://app.localhost", "http://127.0.0.1:8000"]),
        ("shop_frontend_origins", ["https://app.example.org", "https://app.example.org:8443"]),
        ("shop_listen_addresses", ["10.0.0.5", "fd00::5"]),
        ("shop_client_networks", ["10.0.0.0/24", "10.0.1.5/32", "fd00::/64"]),
        ("shop_private_ports", [{"port": 5432, "networks": ["10.0.0.0/24"]}]),
        ("shop_memory_mb", 0),
        ("shop_share_percent", 100),
        ("shop_data_path", "/srv/shop"),
        ("shop_contact_email", ""),
        ("shop_contact_email", "ops@shop.localhost"),
        ("shop_debug_enabled", "false"),
        ("shop_people", [{"name": "Ada", "age": 36}]),
    ],
)
def test_a_right_value_passes(name, value):
    assert plugin.broken_rule(name, (OPTIONS | NAMED)[name], value) is None


def test_a_secret_is_named_but_never_shown():
    sentence = plugin.describe_value("shop_api_key", OPTIONS["shop_api_key"], "s3cret", lambda: "vault.yml:1")
    assert "hidden" in sentence
    assert "s3cret" not in sentence
    assert "only-this-key" not in sentence


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop_htp_port", "Did you mean shop_http_port?"),
        ("shopp_http_port", "Did you mean shop_http_port?"),
        ("shop_something_else", "is not known"),
        ("shop_http_port", None),
        ("vault_shop_api_key", None),
        ("garden_http_port", None),
    ],
)
def test_an_unknown_name_is_reported_when_a_role_should_know_it(name, expected):
    sentence = plugin.describe_unknown(name, OPTIONS, ["project", "shop"], lambda: "shop.yml:1")
    assert (expected in sentence) if expected else sentence is None


@pytest.fixture
def project(tmp_path):
    """A project with one role and an inventory of two hosts that nobody can reach."""
    for folder in ("ansible/plugins", "ansible/collections"):
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True)
    files = {
        "roles/project/meta/argument_specs.yml": {"argument_specs": {"main": {"options": PROJECT_OPTIONS}}},
        "roles/project/defaults/main.yml": {"project_http_port": 80, "project_https_port": 443},
        "roles/shop/meta/argument_specs.yml": {"argument_specs": {"main": {"options": OPTIONS}}},
        "roles/shop/defaults/main.yml": {"shop_name": "{{ project_name }}-shop", "shop_memory_mb": None},
        "ansible/site.yml": [
            {
                "hosts": "all",
                "gather_facts": False,
                "tasks": [
                    {"name": "Validate", "slipway.host.validate_inventory": {}},
                    {"name": "Connect", "ansible.builtin.ping": {}},
                ],
            }
        ],
        "inventories/test/hosts.yml": {
            "all": {"hosts": {name: {"ansible_host": "127.0.0.1", "ansible_port": 1} for name in ("one", "two")}}
        },
        "inventories/test/group_vars/all/project.yml": {"project_name": "demo", "project_https_port": 8443},
        "inventories/test/group_vars/all/shop.yml": {"shop_name": "{{ project_name }}"},
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
    # What of an inventory's folder is none of its hosts is this repository's own setting.
    ours = (ROOT / "ansible.cfg").read_text().partition("[inventory]")[2].partition("[connection]")[0]
    (tmp_path / "ansible.cfg").write_text(f"[inventory]\n{ours}")
    return tmp_path


def validate(project, *arguments):
    """Run the playbook and return what it printed, with lines unwrapped."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "inventories/test", "ansible/site.yml"]
    done = subprocess.run([*command, *arguments], cwd=project, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_a_playbook_stops_before_any_connection_and_reports_everything(project):
    inventory = project / "inventories/test"
    (inventory / "group_vars/all/project.yml").write_text("project_http_port: 8443\nproject_https_port: 8443\n")
    (inventory / "group_vars/all/shop.yml").write_text(
        "shop_htp_port: 80\nshop_domain: ''\nshop_api_key: s3cret\nshop_timeout_seconds: '{{ vault_shop_pace }}'\n"
    )
    (inventory / "host_vars").mkdir()
    (inventory / "host_vars/two.yml").write_text("shop_http_port: 70000\n")
    output = validate(project, "--check", "-vvv")
    for sentence in (
        "shop_htp_port, in inventories/test/group_vars/all/shop.yml:1, is not known. Did you mean shop_http_port?",
        "inventories/test/group_vars/all/shop.yml:2: it must be a host name",
        "shop_api_key is hidden, in inventories/test/group_vars/all/shop.yml:3: ",
        "shop_timeout_seconds, in inventories/test/group_vars/all/shop.yml:4, needs vault_shop_pace, which is not "
        "defined: add it to inventories/test/group_vars/all/vault.yml.",
        "shop_http_port is 70000, in inventories/test/host_vars/two.yml:1: a port is a whole number from 1 to 65535.",
        "project_name is missing in inventories/test/group_vars/all/project.yml: Name of the project.",
        "project_http_port and project_https_port are both 8443",
    ):
        assert sentence in output
    assert "(On two.)" in output
    assert output.count("fatal: [") == 1
    assert "s3cret" not in output
    assert "Traceback" not in output
    assert "TASK [Connect]" not in output
    assert "ESTABLISH" not in output


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({}, ["application_broker_url is missing"]),
        ({"application_broker_url": ""}, ["application_broker_url is missing"]),
        # What is wrong has its own sentence.
        ({"application_broker_url": "kafka://broker/1"}, []),
    ],
)
def test_a_service_of_the_inventory_that_its_project_cannot_reach_is_told(values, missing):
    given = {"group_names": ["web", "broker"], "application_processes": "gunicorn", **values}
    valid = {name: value for name, value in values.items() if not value}
    told = plugin.describe_unused(given, valid, "inventories/test")
    assert [" ".join(sentence.split()[:3]) for sentence in told] == missing


def test_front_ends_must_be_built_and_have_names_of_their_own(project):
    frontend = {"domain": "demo.example.org", "path": str(project / "dist")}
    inventory = project / "inventories/test/group_vars/all/project.yml"
    values = {
        "project_name": "demo",
        "project_domain": "demo.example.org",
        "project_https_port": 8443,
        "project_frontends": [frontend],
    }
    inventory.write_text(yaml.safe_dump(values))
    output = validate(project)
    assert f"names {project}/dist, which has no index.html and assets/: build the front end first" in output
    assert "names a domain that project_domain or another front end has" in output
    assert "serves https://demo.example.org:8443, which may not call the API: add it to project_frontend_ori" in output
    assert "TASK [Connect]" not in output
    (project / "dist/assets").mkdir(parents=True)
    (project / "dist/index.html").touch()
    frontend["domain"] = "app.example.org"
    values["project_frontend_origins"] = ["https://app.example.org:8443"]
    inventory.write_text(yaml.safe_dump(values))
    assert "TASK [Connect]" in validate(project)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- ansible.builtin.shout: {}\n", "couldn't resolve module/action 'ansible.builtin.shout'"),
        ("- ansible.builtin.debug: {msg: [}\n", "YAML parsing failed"),
        ("hosts: all\n", "it begins with no dash"),
    ],
)
def test_tasks_of_the_operator_that_ansible_cannot_read_are_told_before_anything_changes(project, text, reason):
    hooks = project / "inventories/test/hooks"
    hooks.mkdir()
    (hooks / "before_switch.yml").write_text("- ansible.builtin.debug: {msg: ready}\n")
    (hooks / "after_switch.yml").write_text(text)
    (project / "inventories/test/maintenance.html").write_text("<!doctype html>")
    (project / "inventories/test/nginx").mkdir()
    (project / "inventories/test/nginx/own.conf").write_text("location = /own {\n    return 204;\n}\n")
    output = " ".join(validate(project).split())
    assert "inventories/test/hooks/after_switch.yml is no list of tasks that Ansible knows: " in output
    assert reason in output
    assert "hooks/before_switch.yml" not in output
    assert "TASK [Connect]" not in output


def test_a_right_inventory_passes_and_only_then_are_hosts_reached(project):
    with (project / "inventories/test/group_vars/all/shop.yml").open("a") as shop:
        shop.write("shop_timeout_seconds: '{{ shop_memory_from_facts_mb }}'\nshop_memory_mb:\n")
    with (project / "roles/shop/defaults/main.yml").open("a") as defaults:
        defaults.write("shop_memory_from_facts_mb: \"{{ ansible_facts['memtotal_mb'] // 4 }}\"\n")
    output = validate(project, "-e", "project_http_port=8080")
    assert "The inventory needs a change" not in output
    assert "TASK [Connect]" in output


def test_a_value_from_the_command_line_is_checked_too(project):
    output = validate(project, "-e", "project_http_port=90000")
    assert 'project_http_port is "90000", in the command line' in output.replace('\\"', '"')
    assert "TASK [Connect]" not in output


def accounts():
    """The users and groups that Debian gives every system."""
    files = [Path("/usr/share/base-passwd", name) for name in ("passwd.master", "group.master")]
    return sorted({line.partition(":")[0] for path in files if path.exists() for line in path.read_text().splitlines()})


OF_ROLES = ["postgres", "rabbitmq", "epmd", "ssl-cert", "sshd", "messagebus", "polkitd", "tcpdump"]
UNITS = ["rabbitmq-server", "dbus", "nginx", "ssh", "systemd-network", "systemd-resolved", "getty", "polkit", "epmd"]


@pytest.mark.parametrize("name", [*accounts(), *OF_ROLES, *UNITS])
def test_a_name_that_a_system_has_for_itself_is_refused(name):
    assert not plugin.is_name(name)


@pytest.mark.parametrize("name", ["shop", "slipway", "mailer", "backups", "my-proxy", "web2"])
def test_a_name_that_only_looks_like_one_is_accepted(name):
    assert plugin.is_name(name)
