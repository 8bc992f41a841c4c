"""What `make init` refuses, in which words."""

import shutil
from pathlib import Path

import pytest
from init_project import WSGI, init, make, refusal, written


@pytest.mark.parametrize(
    ("files", "options", "sentence"),
    [
        ({"manage.py": None}, [], "so it is no Django project: give another SOURCE="),
        ({"requirements.txt": None}, [], "write down what the project needs"),
        (
            {"requirements.txt": None, "Pipfile": "", "Pipfile.lock": "", "pyproject.toml": "[tool.ruff]\n"},
            [],
            "Pipfile.lock says what the project needs, and is not read: run `pipenv requirements > requirements.txt`",
        ),
        (
            {"requirements.txt": None, "environment.yml": "name: shop\n"},
            [],
            "run `conda run --name shop pip list --format=freeze > requirements.txt` in",
        ),
        (
            {"requirements.txt": None, "setup.py": ""},
            [],
            "run `uv pip compile setup.py --output-file requirements.txt`",
        ),
        ({"uv.lock": "<<<<<<< HEAD"}, [], "The project's uv.lock is no TOML"),
        (
            {"Procfile": "web: gunicorn 'shop.wsgi\n"},
            [],
            "The Procfile's `gunicorn 'shop.wsgi` is no command of a shell",
        ),
        ({"app.json": "{"}, [], "The project's app.json is no JSON"),
        (
            {"src/shop/settings.py": "", "shop/settings.py": None},
            [],
            "manage.py beside that folder, where a server does not find them: run `git mv manage.py src/` in",
        ),
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
        ({}, ["--broker=http://k/1"], "BROKER does not fit: it must be the URL of a broker that Celery knows"),
        (
            {},
            ["--database=shop"],
            "DATABASE does not fit: it must be the URL of a database that Django knows, and its port must be one, "
            "for example DATABASE=postgres://",
        ),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence_and_nothing_is_written(
    tmp_path: Path, files: dict[str, str | None], options: list[str], sentence: str
) -> None:
    source = make(tmp_path, **WSGI)
    for name, text in files.items():
        if text is None:
            (source / name).unlink()
        else:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(text)
    assert sentence in refusal(tmp_path, *options)


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
def test_an_option_that_cannot_be_right_is_refused(tmp_path: Path, options: list[str], sentence: str) -> None:
    make(tmp_path)
    assert sentence in refusal(tmp_path, *options)


def test_nothing_is_replaced(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "inventories/shop").mkdir(parents=True)
    assert "shop exists, and nothing is replaced: edit it, or give another NAME" in refusal(tmp_path)


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    shutil.rmtree(make(tmp_path) / ".git")
    assert "is no git checkout, and a release is a commit" in refusal(tmp_path)


def test_a_domain_that_another_inventory_has_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    other = tmp_path / "inventories/other/group_vars/all"
    other.mkdir(parents=True)
    (other / "project.yml").write_text("project_domain: shop.example\n")
    assert "Another inventory has the domain shop.example" in refusal(tmp_path)


def test_a_name_that_another_inventory_has_on_the_same_host_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    other = tmp_path / "inventories/other"
    (other / "group_vars/all").mkdir(parents=True)
    (other / "group_vars/all/project.yml").write_text('project_name: "shop"\nproject_domain: other.example\n')
    (other / "hosts.yml").write_text("all:\n  hosts:\n    203.0.113.7:\n")
    sentence = "runs a project shop on 203.0.113.7 already: give another NAME="
    assert sentence in refusal(tmp_path, "--host=203.0.113.7")
    assert init(tmp_path, "--host=203.0.113.8")


def test_a_project_that_lies_deep_is_told(tmp_path: Path) -> None:
    make(tmp_path, folder="a/b/c")
    assert "no manage.py within three levels of" in refusal(tmp_path)
    assert "give its folder with FOLDER=a/b/c" in refusal(tmp_path)
    assert written(tmp_path, "--folder=a/b/c")["application_source_folder"] == "a/b/c"


@pytest.mark.parametrize("login", ["ada:s3cret", "s3cret", "ada:s3/cret"])
def test_a_login_in_the_address_of_the_source_is_refused_and_not_shown(tmp_path: Path, login: str) -> None:
    sentence = refusal(tmp_path, f"--source=https://{login}@127.0.0.1:1/shop.git")
    assert "SOURCE has a login in it, which would be committed: leave it to git's credential helper" in sentence
    assert "s3" not in sentence


def test_a_source_that_cannot_be_fetched_says_why(tmp_path: Path) -> None:
    sentence = refusal(tmp_path, f"--source=file://{tmp_path}/nowhere")
    assert "cannot be fetched: fatal: '" in sentence
    assert "does not appear to be a git repository." in sentence
