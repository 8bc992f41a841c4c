"""Each step that a release takes with its own Django, on a database that is a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from django_project import CREATE, ONE_WAY, DjangoProject, Refused

FILES = str(Path(__file__).parents[1] / "roles/application/files")
OURS = {
    **{"DJANGO_SETTINGS_MODULE": "inventory_settings", "PROJECT_SETTINGS_MODULE": "shop_settings"},
    **{"PYTHONPATH": FILES, "PROJECT_SETTINGS": "{}"},
}


@pytest.fixture
def project(tmp_path: Path) -> DjangoProject:
    return DjangoProject(tmp_path)


# --- what would be migrated


def test_a_plan_lists_what_is_to_come_and_changes_nothing(project: DjangoProject) -> None:
    for _ in range(2):
        plan = project.take("plan")
        assert plan["pending"] == ["goods.0001_initial", "goods.0002_add"]
        assert plan["applied"] == []
    assert plan["migrations"] == ["goods.0001_initial", "goods.0002_add"]
    assert plan["leaves"] == {"goods": "0002_add"}
    assert plan["apps"] == ["goods"]


def test_what_the_project_prints_is_no_part_of_the_answer(project: DjangoProject) -> None:
    project.take("plan")
    assert "Settings are read." in project.output


def test_a_release_stands_for_what_a_squashed_migration_replaces(project: DjangoProject) -> None:
    project.take("migrate")
    project.migration("0001_squashed", CREATE)
    with (project.folder / "goods/migrations/0001_squashed.py").open("a") as file:
        file.write('    replaces = [("goods", "0001_initial"), ("goods", "0002_add")]\n')
    for name in ("0001_initial", "0002_add"):
        (project.folder / f"goods/migrations/{name}.py").unlink()
    plan = project.take("plan")
    assert plan["migrations"] == ["goods.0001_initial", "goods.0001_squashed", "goods.0002_add"]


# --- migrations


def test_what_is_pending_is_migrated_once(project: DjangoProject) -> None:
    assert project.take("migrate") == {"applied": ["goods.0001_initial", "goods.0002_add"]}
    assert project.take("plan")["applied"] == ["goods.0001_initial", "goods.0002_add"]
    assert project.take("migrate") == {"applied": []}


def test_a_project_migrates_in_its_own_way_where_it_has_one(project: DjangoProject) -> None:
    project.write("bin/release", "#!/bin/sh\necho Its own way.\n")
    (project.folder / "bin/release").chmod(0o755)
    project.take("migrate")
    assert "Its own way." in project.output
    assert project.take("plan")["applied"] == []


def test_a_migration_that_fails_is_not_tried_again(project: DjangoProject) -> None:
    project.migration("0003_fail", 'migrations.RunSQL("SELECT nothing_of_this_name")', after="0002_add")
    with pytest.raises(Refused, match=r"`.*manage\.py migrate --noinput` failed: .*no such column.*\.$"):
        project.take("migrate")
    assert project.output.count("Running migrations") == 1


def test_what_a_release_does_not_know_is_reversed(project: DjangoProject) -> None:
    project.take("migrate")
    assert project.take("reversible", TARGETS="goods=0001_initial") == {"reversed": ["goods.0002_add"]}
    assert project.take("reverse", TARGETS="goods=0001_initial") == {"reversed": ["goods.0002_add"]}
    assert project.take("plan")["applied"] == ["goods.0001_initial"]
    assert project.take("reverse", TARGETS="goods=zero") == {"reversed": ["goods.0001_initial"]}
    assert project.take("plan")["applied"] == []


def test_what_has_no_way_back_is_refused_before_anything_is_reversed(project: DjangoProject) -> None:
    project.migration("0003_one_way", ONE_WAY, after="0002_add")
    project.take("migrate")
    for step in ("reversible", "reverse"):
        with pytest.raises(Refused, match=r"goods\.0003_one_way cannot be reversed: .* has no way back"):
            project.take(step, TARGETS="goods=0001_initial")
    assert project.take("plan")["pending"] == []


# --- what is refused before a release is built


def test_each_name_that_serves_is_one_of_the_project_s(project: DjangoProject) -> None:
    project.set("ALLOWED_HOSTS = ['.shop.example']")
    assert "pending" in project.take("check", PROJECT_HOSTS="shop.example .shop.example")
    with pytest.raises(Refused, match=r"ALLOWED_HOSTS lacks a\.example, \.b\.example, so Django"):
        project.take("check", PROJECT_HOSTS="a.example .b.example")


@pytest.mark.parametrize("step", ["build", "check"])
@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("DEBUG = True", "DEBUG is on, which shows code and settings to every visitor"),
        ("ALLOWED_HOSTS = ['other.example']", "ALLOWED_HOSTS lacks shop.example"),
        (
            "DATABASES['default']['NAME'] = os.path.abspath('db.sqlite3')",
            "in a folder that each release replaces: keep",
        ),
        (
            "DATABASES['default']['NAME'] = os.path.abspath('../shop.db')",
            "in a folder that each release replaces: keep",
        ),
        ("DATABASES['default']['NAME'] = 'db.sqlite3'", 'write an absolute path, such as BASE_DIR / "db.sqlite3"'),
        (
            "MEDIA_ROOT = os.path.abspath('up/files')",
            "every upload fails: keep it with `application_media_folder: up/files`\\.",
        ),
        ("MEDIA_ROOT = 'media/'", "keep it with `application_media_folder: media`\\."),
        (
            "MEDIA_ROOT = os.path.abspath('../uploads')",
            "no process may write, .* and let MEDIA_ROOT be the folder media of the",
        ),
    ],
)
def test_settings_that_cannot_serve_are_refused(project: DjangoProject, step: str, line: str, sentence: str) -> None:
    project.set(line)
    with pytest.raises(Refused, match=sentence):
        project.take(step)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "MEDIA_ROOT = 'media'",
        "MEDIA_ROOT = os.path.abspath('../data/media')",
        "MEDIA_ROOT = 'up'\nSTORAGES = {'default': {'BACKEND': 'django.core.files.storage.memory.InMemoryStorage'}}",
    ],
)
def test_uploads_that_can_be_written_are_taken(project: DjangoProject, line: str) -> None:
    (project.root / "media").mkdir()
    (project.folder / "media").symlink_to(project.root / "media")
    project.set(line)
    assert project.take("check")


def test_an_error_of_djangos_checks_is_refused(project: DjangoProject) -> None:
    project.set("CSRF_TRUSTED_ORIGINS = ['shop.example']")
    with pytest.raises(Refused, match=r"(?s)Django's checks find errors:.*\(4_0\.E001\)"):
        project.take("check")


def test_warnings_of_djangos_checks_are_shown_but_those_that_the_proxy_answers(project: DjangoProject) -> None:
    warnings = project.take("check")["warnings"]
    # Django keeps its checks in a set.
    assert sorted(warning.partition(":")[0] for warning in warnings) == ["security.W002", "security.W003"]


def test_a_package_that_the_project_lacks_is_named_with_the_line(project: DjangoProject) -> None:
    project.write("goods/models.py", "\nimport nothing_of_this_name\n")
    with pytest.raises(Refused, match=r"^The project \(goods/models.py:2\) must have the package of nothing_of"):
        project.take("plan")


def test_settings_that_do_not_exist_are_named(project: DjangoProject) -> None:
    with pytest.raises(Refused, match=r"^There is no settings module shop_setings: name the project's"):
        project.take("plan", **{**OURS, "PROJECT_SETTINGS_MODULE": "shop_setings"})


# --- static files


@pytest.mark.parametrize("line", ["", "STATIC_ROOT = 'staticfiles'"])
def test_static_files_are_collected_into_the_release(project: DjangoProject, line: str) -> None:
    project.set(f"INSTALLED_APPS += ['django.contrib.staticfiles']\n{line}")
    project.write("goods/static/site.css", "body {}")
    assert project.take("build")["pending"] == ["goods.0001_initial", "goods.0002_add"]
    assert (project.folder / "staticfiles/site.css").read_text() == "body {}"


def test_another_folder_of_static_files_is_refused(project: DjangoProject) -> None:
    project.set("INSTALLED_APPS += ['django.contrib.staticfiles']\nSTATIC_ROOT = 'public'")
    with pytest.raises(Refused, match="STATIC_ROOT is public, and application_static_folder is staticfiles"):
        project.take("build")


# --- settings of the inventory


def test_the_inventory_has_the_last_word_on_settings(project: DjangoProject) -> None:
    project.set("DEBUG = True")
    with pytest.raises(Refused, match="DEBUG is on"):
        project.take("check", **OURS)
    project.take("check", **{**OURS, "PROJECT_SETTINGS": '{"DEBUG": false}'})


MAIL = "'mail': {'class': 'django.utils.log.AdminEmailHandler'}"
HANDLERS = {
    "none": "",
    "only a mail": f"LOGGING = {{'version': 1, 'handlers': {{{MAIL}}}, 'root': {{'handlers': ['mail']}}}}",
    "a log": f"LOGGING = {{'version': 1, 'handlers': {{{MAIL}, 'own': {{'class': 'logging.StreamHandler'}}}}}}",
    "set up by hand": "import logging; logging.basicConfig(format='own: %(message)s')",
    "set up by itself": "LOGGING_CONFIG = None",
}
JOURNAL = "ERROR django.request: it broke"


@pytest.mark.parametrize(
    ("has", "logged"),
    [("none", JOURNAL), ("only a mail", JOURNAL), ("a log", ""), ("set up by hand", "own: it broke")],
)
def test_errors_are_logged_once_where_the_project_logs_them_nowhere(
    project: DjangoProject, has: str, logged: str
) -> None:
    project.set(HANDLERS[has])
    project.write("goods/models.py", "import logging\nlogging.getLogger('django.request').error('it broke')\n")
    project.take("plan", **OURS)
    assert [line for line in project.output.splitlines() if "it broke" in line] == [logged] * bool(logged)


def test_a_project_that_sets_logging_up_by_itself_is_left_alone(project: DjangoProject) -> None:
    project.set(HANDLERS["set up by itself"])
    project.write("goods/models.py", "from django.conf import settings\nassert not settings.LOGGING\n")
    project.take("plan", **OURS)


def test_settings_may_import_what_needs_settings(project: DjangoProject) -> None:
    project.write("shop_tasks.py", "from django.conf import settings\nNAME = settings.ROOT_URLCONF\n")
    project.set("import shop_tasks\nSAID = shop_tasks.NAME")
    project.write("goods/models.py", "from django.conf import settings\nassert settings.SAID == 'shop_urls'\n")
    project.take("plan", **OURS)
