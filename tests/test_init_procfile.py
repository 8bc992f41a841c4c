"""What `make init` takes from a Procfile and an app.json, and what it says of the rest."""

import json
from pathlib import Path
from typing import Any

import pytest
from init_project import CELERY, WSGI, commands, groups, init, make, refusal, written

DATA = "/srv/{{ application_name }}/data"
OWN = "--hostname $WORKER_NAME --concurrency $WORKER_CONCURRENCY --loglevel $LOG_LEVEL"


def project(tmp_path: Path, *lines: str, settings: str = "", **app: Any) -> None:
    """A project with Celery and a Procfile of these lines."""
    make(tmp_path, settings, **WSGI, **CELERY, **{"Procfile": "\n".join(lines), "app.json": json.dumps(app)})


def test_queues_and_options_of_workers_stay(tmp_path: Path) -> None:
    project(
        tmp_path,
        "worker: celery -A shop worker -l info -Q 'default, mail' --max-tasks-per-child=50",
        "slow_worker: celery --app=shop worker --loglevel=INFO -n slow@%h -Q slow -c 1 -B",
    )
    found = commands(written(tmp_path))
    assert found["worker"] == f"celery -A shop.celery worker -Q 'default, mail' --max-tasks-per-child=50 {OWN}"
    assert found["slowworker"] == (
        "celery -A shop.celery worker -Q slow -c 1 --hostname $WORKER_NAME --loglevel $LOG_LEVEL"
    )
    assert found["beat"].startswith(f"celery -A shop.celery beat --schedule {DATA}/")
    assert groups(tmp_path) == ["web", "worker", "beat", "broker"]


@pytest.mark.parametrize(
    ("line", "settings", "scheduler"),
    [
        ("", "INSTALLED_APPS = ['django_celery_beat']", "--scheduler django_celery_beat.schedulers:DatabaseScheduler"),
        (
            "",
            "X = 'django_celery_beat'\nCELERY_BEAT_SCHEDULER = 'django_celery_beat.schedulers:DatabaseScheduler'",
            "--scheduler django_celery_beat.schedulers:DatabaseScheduler",
        ),
        ("", "X = 'django_celery_beat'\nCELERY_BEAT_SCHEDULER = 'redbeat.RedBeatScheduler'", "--loglevel $LOG_LEVEL"),
        ("clock: celery -A shop beat -S shop.clock.Clock", "", "--scheduler shop.clock.Clock"),
        ("clock: celery -A shop beat", "", f"--schedule {DATA}/celerybeat-schedule"),
    ],
)
def test_beat_has_the_scheduler_of_the_project(tmp_path: Path, line: str, settings: str, scheduler: str) -> None:
    project(tmp_path, line, settings=settings)
    assert f" beat {scheduler}" in commands(written(tmp_path))["beat"]


def test_a_worker_is_no_clock_by_its_name(tmp_path: Path) -> None:
    project(tmp_path, "beat: celery -A shop worker -B")
    assert set(commands(written(tmp_path))) == {"web", "beat2", "beat"}


def test_other_processes_run_too_as_often_as_app_json_says(tmp_path: Path) -> None:
    project(
        tmp_path,
        "bot: TOKEN=1 python manage.py run_bot",
        "tasks-2: python manage.py qcluster",
        "api: daphne -p $PORT shop.asgi:application",
        "both: python one.py && python two.py",
        "never: python manage.py never",
        "redis: redis-server",
        "site: python manage.py runserver",
        formation={"tasks-2": {"quantity": 3}, "never": {"quantity": 0}, "worker": {"quantity": 2}},
    )
    told = init(tmp_path)
    written_ones = (tmp_path / "inventories/shop/group_vars/all/application.yml").read_text()
    assert "  - name: bot\n    kind: worker\n    command: env TOKEN=1 python manage.py run_bot\n" in written_ones
    assert "  - name: tasks2\n    kind: worker\n    command: python manage.py qcluster\n    count: 3\n" in written_ones
    assert "The Procfile's api is no single command, and does not run here" in told
    assert "The Procfile's both is no single command, and does not run here: `python one.py && python two.py`" in told
    assert "The Procfile's redis is for a development machine, and does not run here" in told
    assert "The Procfile's site is for a development machine, and does not run here" in told
    assert "The Procfile's never has the quantity 0 in app.json, and does not run here" in told


def test_the_entry_of_the_procfile_is_taken_and_its_command_shown(tmp_path: Path) -> None:
    line = "web: gunicorn shop.serve:app --timeout 90"
    make(tmp_path, **WSGI, **{"Procfile": f"{line}\n", "shop/serve.py": "app = 1\n"})
    told = init(tmp_path)
    assert "web           gunicorn shop.serve:app --forwarded-allow-ips" in told
    assert "The Procfile has these commands; add to those above what is missing" in told
    assert "  web           gunicorn shop.serve:app --timeout 90" in told


def test_what_a_release_does_beside_the_usual_is_written(tmp_path: Path) -> None:
    release = "release: python manage.py migrate --noinput && python manage.py createcachetable"
    project(tmp_path, release, scripts={"postdeploy": "python manage.py loaddata first"})
    told = init(tmp_path)
    written_ones = (tmp_path / "inventories/shop/group_vars/all/application.yml").read_text()
    assert 'application_release_commands: ["python manage.py createcachetable"]\n' in written_ones
    assert "app.json runs `python manage.py loaddata first` once: type it on the host" in told


@pytest.mark.parametrize(
    "release", ["release: python manage.py migrate", "release: ./manage.py migrate; ./manage.py check"]
)
def test_a_usual_release_needs_no_word(tmp_path: Path, release: str) -> None:
    project(tmp_path, release)
    init(tmp_path)
    written_ones = (tmp_path / "inventories/shop/group_vars/all/application.yml").read_text()
    assert "application_release_commands" not in written_ones


@pytest.mark.parametrize(
    "command", ["cd src && python manage.py bot", "python src/manage.py bot", "exec python ./src/manage.py bot"]
)
def test_commands_are_those_of_the_project_s_folder(tmp_path: Path, command: str) -> None:
    source = make(tmp_path, folder="src")
    (source / "Procfile").write_text(f"bot: {command}\n")
    assert commands(written(tmp_path))["bot"] == "python manage.py bot"


def test_an_app_of_celery_that_only_the_procfile_names_is_found(tmp_path: Path) -> None:
    line = "worker: celery -A shop.work worker -l info"
    make(tmp_path, **WSGI, **{"Procfile": line, "shop/work.py": "from shop.made import app\n"})
    assert commands(written(tmp_path))["worker"] == f"celery -A shop.work worker {OWN}"


def test_a_procfile_that_is_no_shell_is_refused(tmp_path: Path) -> None:
    project(tmp_path, "worker: celery -A shop worker -Q 'mail")
    assert "is no command of a shell: No closing quotation. Correct it." in refusal(tmp_path)
