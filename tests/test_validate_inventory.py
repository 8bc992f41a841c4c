"""The check that runs before any host is touched, as a playbook runs it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from repository import ROOT

FRONTENDS = {
    "type": "list",
    "elements": "dict",
    "description": "Front ends.",
    "options": {"domain": {"type": "str", "required": True}, "path": {"type": "path", "required": True}},
}
PROJECT = {
    "project_http_port": {"type": "int", "description": "Port."},
    "project_https_port": {"type": "int", "description": "Port."},
    "project_name": {"type": "str", "required": True, "description": "Name of the project."},
    "project_domain": {"type": "str", "description": "Host name."},
    "project_frontends": FRONTENDS,
    "application_broker_url": {"type": "str", "no_log": True, "description": "Broker."},
    "project_frontend_origins": {"type": "list", "elements": "str", "description": "Origins."},
}
ROLE = {
    "shop_http_port": {"type": "int", "description": "Port."},
    "shop_name": {"type": "str", "required": True, "description": "Name."},
    "shop_domain": {"type": "str", "description": "Host name."},
    "shop_timeout_seconds": {"type": "int", "description": "Time."},
    "shop_memory_mb": {"type": "int", "description": "Memory."},
    "shop_api_key": {"type": "str", "no_log": True, "choices": ["only-this-key"], "description": "Key."},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one role and an inventory of two hosts that nobody can reach."""
    for folder in ("ansible/plugins", "ansible/collections"):
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True)
    files: dict[str, Any] = {
        "ansible/vars/handover.yml": {"shop_told": "by the play", "__process_groups": ["web", "worker", "beat"]},
        "roles/project/meta/argument_specs.yml": {"argument_specs": {"main": {"options": PROJECT}}},
        "roles/project/defaults/main.yml": {"project_http_port": 80, "project_https_port": 443},
        "roles/shop/meta/argument_specs.yml": {"argument_specs": {"main": {"options": ROLE}}},
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


def validate(project: Path, *arguments: str) -> str:
    """Run the playbook and return what it printed, with lines unwrapped."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventories/test", "ansible/site.yml"]
    done = subprocess.run([*command, *arguments], cwd=project, env=environment, capture_output=True, text=True)
    return str(done.stdout + done.stderr)


def test_a_playbook_stops_before_any_connection_and_reports_everything(project: Path) -> None:
    inventory = project / "inventories/test"
    (inventory / "group_vars/all/project.yml").write_text(
        "project_http_port: 8443\nproject_https_port: 8443\napplication_broker_url: 'sqs://KEY:s3cret@'\n"
    )
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
        "application_broker_url is hidden, in inventories/test/group_vars/all/project.yml:3: Slipway's own ",
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


def test_front_ends_must_be_built_and_have_names_of_their_own(project: Path) -> None:
    frontend = {"domain": "demo.example.org", "path": str(project / "dist")}
    inventory = project / "inventories/test/group_vars/all/project.yml"
    values: dict[str, Any] = {
        "project_name": "demo",
        "project_domain": "demo.example.org",
        "project_https_port": 8443,
        "project_frontends": [frontend],
    }
    inventory.write_text(yaml.safe_dump(values))
    output = validate(project)
    assert f"names {project}/dist, which has no index.html and assets/: build the front end first" in output
    assert "names demo.example.org, which project_domain has: name it in one of them." in output
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
def test_tasks_of_the_operator_that_ansible_cannot_read_are_told_before_anything_changes(
    project: Path, text: str, reason: str
) -> None:
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


def test_a_right_inventory_passes_and_only_then_are_hosts_reached(project: Path) -> None:
    with (project / "inventories/test/group_vars/all/shop.yml").open("a") as shop:
        shop.write("shop_timeout_seconds: '{{ shop_memory_from_facts_mb }}'\nshop_memory_mb:\n")
    with (project / "roles/shop/defaults/main.yml").open("a") as defaults:
        defaults.write("shop_memory_from_facts_mb: \"{{ ansible_facts['memtotal_mb'] // 4 }}\"\n")
    output = validate(project, "-e", "project_http_port=8080")
    assert "The inventory needs a change" not in output
    assert "TASK [Connect]" in output


def test_a_value_from_the_command_line_is_checked_too(project: Path) -> None:
    output = validate(project, "-e", "project_http_port=90000")
    assert 'project_http_port is "90000", in the command line' in output.replace('\\"', '"')
    assert "TASK [Connect]" not in output
