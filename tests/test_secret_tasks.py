"""A task that carries a secret says why it failed, and never shows the secret: not with --diff, nor with -vvv."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from certificate_files import sign
from repository import ROOT

Task = dict[str, Any]
HIDDEN = "s3cret-w0rd"
CHAIN = sign("shop.example").chain
# By the file of a role: what the task that carries a secret is given.
GIVEN: dict[str, dict[str, Any]] = {
    "certificates/tasks/install.yml": {
        **{"certificates_group": "root", "certificates_file": "shop", "certificates_source": "provided"},
        **{"certificates_provided_key": HIDDEN, "__certificates_kept": False},
    },
    "certificates/tasks/acme.yml": {
        **{"certificates_names": ["shop.example"], "certificates_acme_account_id": "shop"},
        **{"certificates_acme_account_secret": HIDDEN, "__certificates_acme_path": "/nowhere"},
    },
    "certificates/tasks/preflight.yml": {
        **{"certificates_names": ["shop.example"], "certificates_source": "provided"},
        **{"certificates_provided_key": HIDDEN, "certificates_provided_chain": CHAIN},
    },
    "release/tasks/build.yml": {
        **{"release_action": "deploy", "release_environment": {"SECRET_KEY": HIDDEN}},
        **{
            "release_files": {"local_settings.py": HIDDEN},
            "release_project": {"user": "root", "files": ["local_settings.py"]},
        },
    },
    "broker/tasks/configure.yml": {"broker_password": HIDDEN, "broker_user": "shop", "broker_vhost": "/"},
    "cache/tasks/configure.yml": {"cache_password": HIDDEN},
    "postgresql/tasks/database.yml": {"postgresql_user": "shop", "postgresql_password": HIDDEN},
    "nginx/tasks/project.yml": {"nginx_basic_auth_users": {"ada": HIDDEN}},
    "application/tasks/administrator.yml": {
        **{"application_admin_email": "ada@shop.example", "application_admin_password": HIDDEN},
        **{"application_name": "shop", "application_root_path": "/nowhere"},
    },
}
TRIED = {
    "certificates/tasks/install.yml": ["install | Copy the private key"],
    "certificates/tasks/acme.yml": ["acme | Tell certbot what to ask for"],
    "certificates/tasks/preflight.yml": ["preflight | Refuse a certificate that browsers would refuse"],
    "release/tasks/build.yml": ["build | Write the environment", "build | Write the project's files"],
    "broker/tasks/configure.yml": ["configure | Render the virtual host and its user"],
    "cache/tasks/configure.yml": ["configure | Render the settings"],
    "postgresql/tasks/database.yml": ["database | Create the application's role"],
    "nginx/tasks/project.yml": ["project | Write who may open a site that asks for a password"],
    "application/tasks/administrator.yml": [
        "administrator | Create the administrator",
        "administrator | Say why there is none, without the password",
    ],
}


def tasks_of(file: str) -> list[Task]:
    loaded = yaml.safe_load((ROOT / "roles" / file).read_text())
    assert isinstance(loaded, list)
    return loaded


def runnable(file: str, folder: Path) -> list[Task]:
    """The tasks as the role has them, where nobody has to become anybody."""
    tasks = [task for task in tasks_of(file) if task["name"] in TRIED[file]]
    assert len(tasks) == len(TRIED[file])
    for task in tasks:
        for word in ("become", "become_user", "notify"):
            task.pop(word, None)
        if command := task.get("ansible.builtin.command"):
            command["argv"][0] = f"{folder}/shop-manage"
        if template := task.get("ansible.builtin.template"):
            template["dest"] = f"{folder}/made/secret"
        if "content" in (copy := task.get("ansible.builtin.copy", {})):
            copy["dest"] = f"{folder}/made/file"
        if "inventory_hostname in" in str(task.get("when")):
            del task["when"]
    return tasks


def run(file: str, folder: Path, **more: Any) -> str:
    """What a play of a role's tasks prints, with all that Ansible can show."""
    role = file.split("/")[0]
    (folder / "shop.key").write_text(f"{HIDDEN}\n")
    (folder / "shop-manage").write_text(
        "#!/bin/sh\nread password\necho CommandError: $password is common >&2\nexit 1\n"
    )
    (folder / "shop-manage").chmod(0o755)
    (folder / "templates").symlink_to(ROOT / "roles" / role / "templates")
    defaults = yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text()) or {}
    places = {"certificates_authority_path": str(folder), "certificates_path": f"{folder}/made", "project_name": "shop"}
    owner = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    role_name = {"ansible_role_name": role, "inventory_dir": str(folder)}
    given = {**defaults, **role_name, **places, **owner, **GIVEN[file], **more}
    play = {"hosts": "localhost", "gather_facts": False, "vars": given, "tasks": runnable(file, folder)}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    (folder / "ansible.cfg").write_text(
        f"[defaults]\ncollections_path = {ROOT}/ansible/collections:{ROOT}/.venv/lib\n"
        "stdout_callback = slipway.host.progress\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "play.yml", "--diff", "-vvv"]
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("certificates/tasks/install.yml", "Destination directory"),
        ("certificates/tasks/acme.yml", "Destination directory"),
        ("certificates/tasks/preflight.yml", "certificates_provided_key is no private key"),
        ("release/tasks/build.yml", "Destination directory"),
        ("broker/tasks/configure.yml", "Destination directory"),
        ("cache/tasks/configure.yml", "Destination directory"),
        ("nginx/tasks/project.yml", "Destination directory"),
        ("postgresql/tasks/database.yml", "psycopg"),
        ("application/tasks/administrator.yml", "could not be created: CommandError: ******** is common"),
    ],
)
def test_a_failure_is_told_without_the_secret(tmp_path: Path, file: str, reason: str) -> None:
    output = run(file, tmp_path)
    assert "failed=0" not in output
    assert reason in output
    assert HIDDEN not in output


def test_what_is_written_is_not_shown_either(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    output = run("release/tasks/build.yml", tmp_path)
    assert "2 changed, 0 failed" in output
    assert HIDDEN in (tmp_path / "made/secret").read_text()
    assert (tmp_path / "made/file").read_text() == HIDDEN
    assert HIDDEN not in output


def test_what_is_hidden_is_told_by_the_next_task() -> None:
    """Ansible hides all of a task with no_log, also why it failed."""
    for path in sorted((ROOT / "roles").glob("*/tasks/*.yml")):
        tasks = tasks_of(str(path.relative_to(ROOT / "roles")))
        for task, following in zip(tasks, [*tasks[1:], {}], strict=True):
            if task.get("no_log"):
                assert task["failed_when"] is False, path
                assert task["register"] in str(following["ansible.builtin.fail"]), path
