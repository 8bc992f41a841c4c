"""What `make init` finds in a project, what it writes, and what it says when it cannot."""

import os
import pty
import shutil
import subprocess
import sys

import pytest
import yaml
from repository import ROOT

GIT = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
# The smallest project of each kind; a test adds or replaces files.
MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
WSGI = {"shop/wsgi.py": "", "requirements.txt": "django\ngunicorn\n"}
ASGI = {"shop/asgi.py": "", "requirements.txt": "django\nuvicorn\n"}


@pytest.fixture
def project(tmp_path):
    """Makes a checkout of a project whose settings and other files are given."""

    def make(settings="", folder="", **files):
        files = {"manage.py": MANAGE, "shop/__init__.py": "", "shop/settings.py": settings, **(files or WSGI)}
        for name, text in files.items():
            path = tmp_path / "source" / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                path.write_text(text)
        subprocess.run([*GIT, "init", "--quiet", tmp_path / "source"], check=True)
        return tmp_path / "source"

    return make


def init(tmp_path, *options, source="source", domain="shop.example"):
    command = [sys.executable, ROOT / "ansible/init.py", "--name=shop", f"--domain={domain}"]
    command += [f"--source={tmp_path / source}", f"--inventories={tmp_path / 'inventories'}", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, cwd=ROOT)


def written(tmp_path, *options):
    """All variables of the inventory that it writes."""
    done = init(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "inventories/shop/group_vars/all").glob("*.yml"))
    return {name: value for path in files for name, value in yaml.safe_load(path.read_text()).items()}


def groups(tmp_path):
    return list(yaml.safe_load((tmp_path / "inventories/shop/hosts.yml").read_text())["all"]["children"])


def commands(found):
    return {each["name"]: each["command"] for each in found["application_processes"]}


def test_a_stock_project_gets_what_its_settings_lack(tmp_path):
    shutil.copytree(ROOT / "molecule/projects/stock", tmp_path / "source")
    subprocess.run([*GIT, "init", "--quiet", tmp_path / "source"], check=True)
    found = written(tmp_path)
    assert found["application_settings_module"] == "mysite.settings"
    assert found["application_persistent_paths"] == ["db.sqlite3"]
    assert found["application_settings"]["DEBUG"] is False
    assert found["application_settings"]["ALLOWED_HOSTS"] == ["{{ application_domain }}"]
    assert found["application_settings"]["SECRET_KEY"] == "{{ application_secret_key }}"  # noqa: S105 - a reference
    assert commands(found)["web"].startswith("gunicorn mysite.wsgi:application")
    assert groups(tmp_path) == ["web"]


def test_the_shape_of_cookiecutter_django_is_known(tmp_path):
    shutil.copytree(ROOT / "molecule/projects/shop", tmp_path / "source")
    subprocess.run([*GIT, "init", "--quiet", tmp_path / "source"], check=True)
    found = written(tmp_path)
    assert found["application_settings_module"] == "config.settings.production"
    assert found["application_requirements_file"] == "requirements/production.txt"
    assert found["application_media_folder"] == "shop/media"
    assert found["application_environment"] == {
        "DJANGO_ADMIN_URL": "admin/",
        "DJANGO_ALLOWED_HOSTS": "{{ application_domain }}",
        "DJANGO_DEBUG": "False",
        "DJANGO_SECRET_KEY": "{{ application_secret_key }}",
        "REDIS_URL": "redis://127.0.0.1:6379/0",
    }
    assert found["application_packages"] == ["redis-server"]
    assert commands(found)["worker"].startswith("celery -A config.celery_app worker")
    assert "flock --no-fork" in commands(found)["beat"]
    assert groups(tmp_path) == ["web", "worker", "beat", "database"]


def test_an_asgi_project_with_websockets_is_known(tmp_path):
    shutil.copytree(ROOT / "molecule/projects/chat", tmp_path / "source")
    (tmp_path / "source/uv.lock").write_text('name = "uvicorn"\n')
    subprocess.run([*GIT, "init", "--quiet", tmp_path / "source"], check=True)
    found = written(tmp_path)
    assert found["application_source_folder"] == "src"
    assert commands(found)["web"].startswith("uvicorn chat.asgi:application --fd 3")
    assert found["application_requirements_file"] == "../uv.lock"
    assert found["application_static_folder"] == "public"
    assert found["nginx_static_url"] == "/assets/"
    assert found["nginx_websockets_enabled"] is True


@pytest.mark.parametrize("folder", ["one", "./one/", "."])
def test_a_folder_is_relative_to_the_source(tmp_path, project, folder):
    project(folder="services/one")
    source = tmp_path / "source/services" / ("one" if folder == "." else "")
    found = written(tmp_path, f"--source={source}", f"--folder={folder}")
    assert found["application_source_folder"] == "services/one"
    assert found["application_source_path"].endswith("/source")


def test_a_project_below_the_root_is_found(tmp_path, project):
    project(folder="src")
    assert written(tmp_path)["application_source_folder"] == "src"


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (("uv.lock", "pyproject.toml", "requirements.txt"), "uv.lock"),
        (("poetry.lock", "pyproject.toml"), "poetry.lock"),
        (("requirements/base.txt", "requirements/production.txt"), "requirements/production.txt"),
        (("requirements.txt", "pyproject.toml"), "requirements.txt"),
        (("pyproject.toml",), "pyproject.toml"),
    ],
)
def test_the_most_exact_requirements_are_chosen(tmp_path, project, files, chosen):
    project(**{"shop/wsgi.py": "", **dict.fromkeys(files, "gunicorn\n")})
    assert written(tmp_path)["application_requirements_file"] == chosen


@pytest.mark.parametrize(
    ("settings", "variable", "value"),
    [
        ("import os\nos.environ['DJANGO_SECRET_KEY']", "DJANGO_SECRET_KEY", "{{ application_secret_key }}"),
        ("ALLOWED = env.list('DJANGO_ALLOWED_HOSTS')", "DJANGO_ALLOWED_HOSTS", "{{ application_domain }}"),
        ("HOST = config('POSTGRES_HOST', default='db')", "POSTGRES_HOST", "/run/postgresql"),
        ("PASSWORD = os.getenv('DB_PASSWORD')", "DB_PASSWORD", "{{ vault_database_password }}"),
        ("DEBUG = config('DEBUG', default=True, cast=bool)", "DEBUG", "False"),
    ],
)
def test_a_well_known_variable_is_set(tmp_path, project, settings, variable, value):
    project(settings)
    assert written(tmp_path)["application_environment"][variable] == value


def test_variables_that_must_be_set_are_listed_and_others_are_not(tmp_path, project):
    project("KEY = env('STRIPE_KEY')\nURL = os.environ.get('SENTRY_DSN')\nMAIL = env.str('MAIL', default='x')\n")
    done = init(tmp_path)
    assert "STRIPE_KEY  (shop/settings.py:1)" in done.stdout
    assert "SENTRY_DSN" not in done.stdout
    assert "MAIL " not in done.stdout
    assert "STRIPE_KEY" in (tmp_path / "inventories/shop/group_vars/all/application.yml").read_text()


def test_a_project_that_reads_a_broker_gets_one(tmp_path, project):
    celery = "from celery import Celery\napp = Celery('shop')\n"
    project("CELERY_BROKER_URL = env('CELERY_BROKER_URL')", **WSGI, **{"shop/celery.py": celery})
    found = written(tmp_path)
    assert found["application_broker_url"].startswith("amqp://")
    assert commands(found)["worker"].startswith("celery -A shop.celery worker")
    assert "beat" not in commands(found)
    assert groups(tmp_path) == ["web", "worker", "broker"]


def test_services_that_exist_are_used_instead_of_new_ones(tmp_path, project):
    celery = "from celery import Celery\napp = Celery('shop')\n"
    project("env('DATABASE_URL')", **WSGI, **{"shop/celery.py": celery})
    found = written(tmp_path, "--database=postgres://db.example/shop", "--broker=redis://redis.example/3")
    assert found["application_database_url"] == "postgres://db.example/shop"
    assert found["application_broker_url"] == "redis://redis.example/3"
    assert groups(tmp_path) == ["web", "worker"]


def test_a_password_in_a_url_stays_out_of_what_is_committed(tmp_path, project):
    project("env('DATABASE_URL')")
    url = "postgres://shop:s3cret@db.example/shop"
    found = written(tmp_path, f"--database={url}")
    assert found["application_database_url"] == "{{ vault_database_url }}"
    folder = tmp_path / "inventories/shop"
    assert "s3cret" not in "".join(path.read_text() for path in folder.glob("**/*.yml"))
    assert (
        "vault_database_url: \"{{ lookup('slipway.host.secret', 'database_url') }}\""
        in (folder / "group_vars/all/vault.yml").read_text().splitlines()
    )
    kept = folder / ".secrets/database_url"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == (url, 0o600)


def test_a_broker_that_exists_is_used_also_where_no_celery_is_found(tmp_path, project):
    project()
    found = written(tmp_path, "--broker=redis://redis.example/3")
    assert found["application_broker_url"] == "redis://redis.example/3"
    shutil.rmtree(tmp_path / "inventories")
    said = init(tmp_path, "--broker=redis://redis.example/3").stdout
    assert "The settings read no CELERY_BROKER_URL, which says where BROKER is" in said


def test_a_database_that_the_settings_do_not_read_is_told(tmp_path, project):
    project()
    assert "The settings read no DATABASE_URL" in init(tmp_path, "--database=postgres://db.example/shop").stdout


def test_what_is_not_committed_is_told(tmp_path, project):
    source = project(folder="src")
    words = "A release is a commit, and the last one has no src/requirements.txt"
    subprocess.run([*GIT, "-C", source, "add", "src/manage.py", "src/shop"], check=True)
    subprocess.run([*GIT, "-C", source, "commit", "--quiet", "--message=shop"], check=True)
    assert words in init(tmp_path).stdout
    shutil.rmtree(tmp_path / "inventories")
    subprocess.run([*GIT, "-C", source, "add", "src/requirements.txt"], check=True)
    subprocess.run([*GIT, "-C", source, "commit", "--quiet", "--message=shop"], check=True)
    assert "A release is a commit" not in init(tmp_path).stdout


def test_how_an_administrator_is_named_is_shown(tmp_path, project):
    project()
    init(tmp_path)
    lines = (tmp_path / "inventories/shop/group_vars/all/project.yml").read_text().splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("project_admins:"))
    assert lines[place - 1].startswith("# For example: [{name: ada, keys:")


def test_a_server_that_the_project_does_not_install_is_named(tmp_path, project):
    project(**{"shop/wsgi.py": "", "requirements.txt": "django\n"})
    assert "requirements.txt has no gunicorn" in init(tmp_path).stdout


def test_asgi_alone_gets_an_asgi_server(tmp_path, project):
    project(**ASGI)
    assert commands(written(tmp_path))["web"].startswith("uvicorn shop.asgi:application --fd 3")


def test_two_projects_do_not_share_a_database_of_redis(tmp_path, project):
    project("env('REDIS_URL')")
    other = tmp_path / "inventories/other/group_vars/all"
    other.mkdir(parents=True)
    (other / "application.yml").write_text('application_environment:\n  REDIS_URL: "redis://127.0.0.1:6379/0"\n')
    assert written(tmp_path)["application_environment"]["REDIS_URL"] == "redis://127.0.0.1:6379/1"


def test_secrets_are_generated_and_never_printed(tmp_path, project):
    project("env('DATABASE_URL')")
    done = init(tmp_path)
    folder = tmp_path / "inventories/shop/.secrets"
    values = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(values) == {"secret_key", "database_password"}
    assert folder.stat().st_mode & 0o077 == 0
    assert min(map(len, values.values())) >= 50
    assert not [value for value in values.values() if value in done.stdout + done.stderr]


def test_what_is_written_passes_the_check_before_a_run(tmp_path, project):
    celery = "from celery import Celery\napp = Celery('shop')\n"
    project("env('DATABASE_URL')\nMEDIA_ROOT = BASE_DIR / 'media'\n", **WSGI, **{"shop/celery.py": celery})
    assert init(tmp_path).returncode == 0
    tasks = "[{slipway.host.validate_inventory: }]"
    (tmp_path / "check.yml").write_text(f"- hosts: all\n  gather_facts: false\n  tasks: {tasks}\n")
    command = [f"{sys.executable.rpartition('/')[0]}/ansible-playbook", "-i", tmp_path / "inventories/shop"]
    done = subprocess.run([*command, tmp_path / "check.yml"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_next_command_is_told(tmp_path, project):
    project()
    assert init(tmp_path).stdout.rstrip().endswith("make provision ENV=shop")


def test_nothing_is_replaced(tmp_path, project):
    project()
    (tmp_path / "inventories/shop").mkdir(parents=True)
    done = init(tmp_path)
    assert done.returncode != 0
    assert "shop exists, and nothing is replaced: edit it, or give another NAME" in done.stderr
    assert not list((tmp_path / "inventories/shop").iterdir())


@pytest.mark.parametrize(
    ("files", "options", "sentence"),
    [
        ({"manage.py": None}, [], "so it is no Django project: give another SOURCE="),
        ({"requirements.txt": None}, [], "write down what the project needs"),
        ({"shop/wsgi.py": None}, [], "such as config.wsgi:application is not known: give ENTRY="),
        ({"one/manage.py": "", "two/manage.py": "", "manage.py": None}, [], "name one with FOLDER="),
        ({"shop/settings.py": "x ="}, [], "cannot be read as Python"),
        ({}, ["--settings=shop.prod"], "There is no settings module shop.prod"),
        ({}, ["--folder=src"], "give its folder with FOLDER="),
        ({}, ["--requirements=uv.lock"], "There is no uv.lock"),
        ({}, ["--name=My shop"], "it must be a short name of lower-case letters"),
        ({}, ["--domain=https://shop.example"], "it must be a host name"),
        ({}, ["--source=/nowhere"], "There is no folder /nowhere"),
        ({}, ["--host=my host"], "HOST does not fit: it must be a host name or an IP address, for example HOST="),
        ({}, ["--entry=shop"], "ENTRY does not fit: it must be a module and the name of the application in it"),
        ({}, ["--entry=shop.asgi:application"], "There is no module shop.asgi"),
        ({}, ["--celery=shop.tasks"], "There is no module shop.tasks"),
        ({}, ["--health=health"], "HEALTH does not fit: it must be a path that begins with a slash"),
        ({}, ["--broker=redis://r:port/1"], "BROKER does not fit"),
        ({"shop/settings.py": None}, [], "There is no settings module shop.settings in"),
        ({}, ["--broker=kafka://k/1"], "BROKER does not fit: it must begin with one of amqp://, amqps://"),
        (
            {},
            ["--database=shop"],
            "DATABASE does not fit: it must be the URL of a database that Django knows, and its port must be one, "
            "for example DATABASE=postgres://",
        ),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence_and_nothing_is_written(tmp_path, project, files, options, sentence):
    source = project(**WSGI)
    for name, text in files.items():
        if text is None:
            (source / name).unlink()
        else:
            (source / name).parent.mkdir(exist_ok=True)
            (source / name).write_text(text)
    done = init(tmp_path, *options)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert done.stderr.rstrip().endswith("Nothing was written.")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "inventories/shop").exists()


def test_a_folder_that_is_no_checkout_is_refused(tmp_path, project):
    shutil.rmtree(project() / ".git")
    assert "is no git checkout, and a release is a commit" in init(tmp_path).stderr


def test_a_domain_that_another_inventory_has_is_refused(tmp_path, project):
    project()
    other = tmp_path / "inventories/other/group_vars/all"
    other.mkdir(parents=True)
    (other / "project.yml").write_text("project_domain: shop.example\n")
    assert "Another inventory has the domain shop.example" in init(tmp_path).stderr


@pytest.mark.parametrize(
    ("option", "url"),
    [
        ("database", "postgres://db.example/shop?password=s3cret"),
        ("database", "postgres://s3cret@db.example/shop"),
        ("broker", "sqs://KEY:s3/cret@"),
    ],
)
def test_a_secret_anywhere_in_a_url_stays_out_of_what_is_committed(tmp_path, project, option, url):
    project("env('DATABASE_URL')")
    assert written(tmp_path, f"--{option}={url}")[f"application_{option}_url"] == f"{{{{ vault_{option}_url }}}}"
    assert (tmp_path / f"inventories/shop/.secrets/{option}_url").read_text() == url


@pytest.mark.parametrize("login", ["ada:s3cret", "s3cret", "ada:s3/cret"])
def test_a_login_in_the_address_of_the_source_is_refused_and_not_shown(tmp_path, login):
    done = init(tmp_path, f"--source=https://{login}@127.0.0.1:1/shop.git")
    assert done.returncode != 0
    assert "SOURCE has a login in it, which would be committed: leave it to git's credential helper" in done.stderr
    assert "s3" not in done.stdout + done.stderr


def test_a_source_that_cannot_be_fetched_says_why(tmp_path):
    done = init(tmp_path, f"--source=file://{tmp_path}/nowhere")
    assert "cannot be fetched: fatal: '" in done.stderr
    assert "does not appear to be a git repository." in done.stderr


def test_a_name_that_another_inventory_has_on_the_same_host_is_refused(tmp_path, project):
    project()
    other = tmp_path / "inventories/other"
    (other / "group_vars/all").mkdir(parents=True)
    (other / "group_vars/all/project.yml").write_text('project_name: "shop"\nproject_domain: other.example\n')
    (other / "hosts.yml").write_text("all:\n  hosts:\n    203.0.113.7:\n")
    done = init(tmp_path, "--host=203.0.113.7")
    assert "runs a project shop on 203.0.113.7 already: give another NAME=" in done.stderr
    assert init(tmp_path, "--host=203.0.113.8").returncode == 0


@pytest.mark.parametrize(
    ("settings", "value", "replaced"),
    [
        ("DEBUG = env.bool('DEBUG', False)", "False", False),
        ("DEBUG = env('DEBUG')", "False", True),
        ("env = environ.Env(DEBUG=(bool, False))\nDEBUG = env('DEBUG')", "False", False),
        ("DEBUG = config('DEBUG', default=True, cast=bool)", "False", False),
        ("DEBUG = os.environ.get('DEBUG') != 'False'", "False", True),
        ("DEBUG = bool(os.environ.get('DEBUG', 0))", "False", True),
        ("DEBUG = bool(int(os.environ.get('DEBUG', 1)))", "0", True),
        ("DEBUG = int(os.getenv('DEBUG', default=0))", "0", True),
    ],
)
def test_debug_is_off_however_it_is_read(tmp_path, project, settings, value, replaced):
    project(settings)
    found = written(tmp_path)
    assert found["application_environment"]["DEBUG"] == value
    assert found.get("application_settings") == ({"DEBUG": False} if replaced else None)


def test_a_variable_that_debug_is_read_from_is_known_by_its_use(tmp_path, project):
    project("DEBUG = int(os.environ['DJANGO_DEBUG'])")
    assert written(tmp_path)["application_environment"]["DJANGO_DEBUG"] == "0"


def test_a_redis_that_exists_is_used_where_the_settings_read_redis_url(tmp_path, project):
    project("env('REDIS_URL')", **WSGI, **{"shop/celery.py": "app = Celery('shop')\n"})
    found = written(tmp_path, "--broker=rediss://:s3cret@redis.example/0")
    assert found["application_environment"]["REDIS_URL"] == "{{ application_broker_url }}"
    assert "application_packages" not in found


PARTS = "".join(f"env('DB_{part}')\n" for part in ("HOST", "PORT", "NAME", "USER", "PASSWORD"))


def test_the_parts_of_a_database_that_exists_are_filled_from_its_url(tmp_path, project):
    project(PARTS)
    found = written(tmp_path, "--database=postgres://ada:s3%2Fcret@db.example:5433/shop?sslmode=require")
    assert found["application_environment"] == {
        "DB_HOST": "db.example",
        "DB_PORT": "5433",
        "DB_NAME": "shop",
        "DB_USER": "ada",
        "DB_PASSWORD": "{{ vault_database_password }}",
    }
    assert (tmp_path / "inventories/shop/.secrets/database_password").read_text() == "s3/cret"
    assert found["vault_database_password"] == "{{ lookup('slipway.host.secret', 'database_password') }}"  # noqa: S105 - a reference


@pytest.mark.parametrize(
    ("read", "options", "engine"),
    [
        ("os.environ.get('SQL_ENGINE', 'django.db.backends.sqlite3')", [], "django.db.backends.postgresql"),
        ("os.environ['DB_ENGINE']", [], "django.db.backends.postgresql"),
        ("env('DB_ENGINE', default='django.contrib.gis.db.backends.postgis')", [], None),
        ("env('DB_ENGINE')", ["--database=mysql://db.example/shop"], "django.db.backends.mysql"),
    ],
)
def test_the_engine_fits_the_database(tmp_path, project, read, options, engine):
    project(f"{PARTS}ENGINE = {read}")
    found = written(tmp_path, *options)["application_environment"]
    assert found.get("SQL_ENGINE", found.get("DB_ENGINE")) == engine


@pytest.mark.parametrize("engine", ["mysql", "oracle"])
def test_a_database_that_no_role_makes_is_told(tmp_path, project, engine):
    project(f"{PARTS}DATABASES = {{'default': {{'ENGINE': 'django.db.backends.{engine}'}}}}")
    assert f"The settings use {engine}, and no server for it is made: " in init(tmp_path).stdout
    assert groups(tmp_path) == ["web"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--database=postgres://[bad/x"], "DATABASE does not fit: it must be the URL of a database that Django knows"),
        (["--database=postgres://db.example:port/x"], "DATABASE does not fit"),
        (["--database=kafka://x"], "DATABASE does not fit"),
        (["--requirements=/etc/passwd"], "REQUIREMENTS does not fit: it must be a path from the project's folder"),
        (["--requirements=../requirements.txt"], "There is no ../requirements.txt in"),
        (["--requirements=manage.py"], "REQUIREMENTS does not fit"),
        (["--folder=../x"], "FOLDER does not fit: it must be a path below SOURCE"),
        (["--folder=/x"], "FOLDER does not fit"),
        (["--health=/a b"], "HEALTH does not fit"),
        (["--host=192.0.2.300"], "HOST does not fit"),
        (["--settings=shop/settings.py"], "SETTINGS does not fit"),
        (["--celery=shop/celery.py"], "CELERY does not fit"),
        (["--entry=shop.wsgi:nothere"], "shop.wsgi has no nothere: give another ENTRY="),
    ],
)
def test_an_option_that_cannot_be_right_is_refused(tmp_path, project, options, sentence):
    project()
    done = init(tmp_path, *options)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "inventories/shop").exists()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgis", "mysql", "sqlite"])
def test_every_database_that_django_knows_can_be_given(tmp_path, project, scheme):
    project("env('DATABASE_URL')")
    assert init(tmp_path, f"--database={scheme}://db.example/shop").returncode == 0


def typed(tmp_path, text, *options):
    """What init says to somebody at a terminal who types this, and how it ends."""
    command = [sys.executable, str(ROOT / "ansible/init.py"), f"--source={tmp_path / 'source'}", "--name=shop"]
    command += [f"--inventories={tmp_path / 'inventories'}", *options]
    ours, theirs = pty.openpty()
    os.write(ours, text.encode())
    with os.fdopen(theirs) as terminal:
        done = subprocess.run(command, stdin=terminal, capture_output=True, text=True, check=False, timeout=60)
    os.close(ours)
    return done


def test_a_question_that_gets_no_answer_ends_in_a_sentence(tmp_path, project):
    project()
    done = typed(tmp_path, "\x04")
    assert done.stderr.strip().endswith("Nothing was written.")
    assert "Traceback" not in done.stderr


def test_an_answer_that_does_not_fit_is_asked_for_again(tmp_path, project):
    project(**{"requirements.txt": "gunicorn\n", "shop/web.py": "app = 1\n"})
    done = typed(tmp_path, "https://shop.example\nshop.example\nweb\nshop.web:app\n")
    assert done.returncode == 0, done.stderr
    assert "DOMAIN does not fit: it must be a host name" in done.stdout
    assert "ENTRY does not fit" in done.stdout
    assert "gunicorn shop.web:app" in done.stdout


@pytest.mark.parametrize(
    ("requirements", "server"),
    [
        ("channels[daphne]\n", "daphne --fd 3"),
        ("channels\ngunicorn\ndaphne\n", "daphne --fd 3"),
        ("channels\ngunicorn\nuvicorn-worker\n", "gunicorn shop.asgi:application"),
        ("channels\ngunicorn\nuvicorn\n", "uvicorn shop.asgi:application"),
    ],
)
def test_an_asgi_project_runs_a_server_that_it_installs(tmp_path, project, requirements, server):
    project(**{"shop/asgi.py": "application = 1\n", **WSGI, "requirements.txt": requirements})
    found = init(tmp_path)
    assert f"web {server}" in " ".join(found.stdout.split())
    assert ("uvicorn_worker.UvicornWorker" in found.stdout) == ("uvicorn-worker" in requirements)
    assert "which the process web runs" not in found.stdout


@pytest.mark.parametrize("options", [[], ["--entry=shop.asgi:application"]])
def test_gunicorn_alone_is_no_server_for_asgi(tmp_path, project, options):
    requirements = "gunicorn\n" if options else "channels\ngunicorn\n"
    project(**{"shop/asgi.py": "application = 1\n", **WSGI, "requirements.txt": requirements})
    done = init(tmp_path, *options)
    assert "requirements.txt has no uvicorn, which the process web runs: add uvicorn[standard]" in done.stdout
    assert "uvicorn_worker" not in done.stdout


def test_literal_hosts_without_the_domain_are_replaced(tmp_path, project):
    project("ALLOWED_HOSTS = ['localhost']\nCSRF_TRUSTED_ORIGINS = ['https://old.example']\n")
    found = written(tmp_path)["application_settings"]
    assert found["ALLOWED_HOSTS"] == ["{{ application_domain }}"]
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://{{ application_domain }}"]


@pytest.mark.parametrize("hosts", ["shop.example", ".example", "*"])
def test_literal_hosts_with_the_domain_are_left(tmp_path, project, hosts):
    project(f"ALLOWED_HOSTS = ['{hosts}']\nCSRF_TRUSTED_ORIGINS = ['https://shop.example', 'https://*.example']\n")
    assert "application_settings" not in written(tmp_path)


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
def test_what_would_be_missed_silently_is_told(tmp_path, project, settings, files, sentence):
    project(settings, **{**WSGI, **files})
    assert sentence in init(tmp_path).stdout


@pytest.mark.parametrize("name", ["settings_prod", "settings_production", "production", "production_settings"])
def test_production_settings_beside_the_others_are_preferred(tmp_path, project, name):
    project(**WSGI, **{f"shop/{name}.py": "from .settings import *\n"})
    assert written(tmp_path)["application_settings_module"] == f"shop.{name}"


def test_a_module_of_that_name_that_is_no_settings_is_left(tmp_path, project):
    project(**WSGI, **{"shop/production.py": "class Line: ...\n"})
    assert written(tmp_path)["application_settings_module"] == "shop.settings"


def test_a_project_that_lies_deep_is_told(tmp_path, project):
    project(folder="a/b/c")
    assert "no manage.py within three levels of" in init(tmp_path).stderr
    assert "give its folder with FOLDER=a/b/c" in init(tmp_path).stderr
    assert written(tmp_path, "--folder=a/b/c")["application_source_folder"] == "a/b/c"


def test_requirements_above_the_project_are_found(tmp_path, project):
    source = project(folder="back/src", **{"shop/wsgi.py": ""})
    (source / "back/src/requirements.txt").unlink(missing_ok=True)
    (source / "requirements.txt").write_text("django\ngunicorn\n")
    assert written(tmp_path)["application_requirements_file"] == "../../requirements.txt"
    shutil.rmtree(tmp_path / "inventories")
    (source / "back/uv.lock").write_text('name = "gunicorn"\n')
    assert written(tmp_path)["application_requirements_file"] == "../uv.lock"
    shutil.rmtree(tmp_path / "inventories")
    assert written(tmp_path, "--requirements=../../requirements.txt")["application_requirements_file"].startswith(
        "../../"
    )


def test_requirements_outside_of_the_source_are_refused(tmp_path, project):
    project()
    (tmp_path / "requirements.txt").write_text("gunicorn\n")
    assert "REQUIREMENTS lies outside of SOURCE" in init(tmp_path, "--requirements=../requirements.txt").stderr


def test_what_to_do_for_postgresql_is_told(tmp_path, project):
    project("NAME = BASE_DIR / 'db.sqlite3'")
    words = " ".join(init(tmp_path).stdout.split())
    assert "let the settings read DATABASE_URL, remove inventories/shop and run this again." in words
