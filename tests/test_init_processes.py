"""Which processes and requirements `make init` finds."""

import shutil
from pathlib import Path

import pytest
from init_project import LOCK, WSGI, commands, init, make, refusal, written


@pytest.mark.parametrize("folder", ["one", "./one/", "."])
def test_a_folder_is_relative_to_the_source(tmp_path: Path, folder: str) -> None:
    make(tmp_path, folder="services/one")
    source = tmp_path / "source/services" / ("one" if folder == "." else "")
    found = written(tmp_path, f"--source={source}", f"--folder={folder}")
    assert found["application_source_folder"] == "services/one"
    assert found["application_source_path"].endswith("/source")


def test_a_project_below_the_root_is_found(tmp_path: Path) -> None:
    make(tmp_path, folder="src")
    assert written(tmp_path)["application_source_folder"] == "src"


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (("uv.lock", "pyproject.toml", "requirements.txt"), "uv.lock"),
        (("poetry.lock", "pyproject.toml"), "poetry.lock"),
        (("requirements/base.txt", "requirements/production.txt"), "requirements/production.txt"),
        (("requirements/base.txt", "requirements/deploy.txt"), "requirements/deploy.txt"),
        (("requirements.txt", "requirements-prod.txt"), "requirements-prod.txt"),
        (("requirements/main.txt", "requirements/dev.txt"), "requirements/main.txt"),
        (("requirements.txt", "pyproject.toml"), "requirements.txt"),
        (("pyproject.toml",), "pyproject.toml"),
    ],
)
def test_the_most_exact_requirements_are_chosen(tmp_path: Path, files: tuple[str, ...], chosen: str) -> None:
    make(tmp_path, **{"shop/wsgi.py": "", **{name: LOCK if name.endswith(".lock") else "gunicorn\n" for name in files}})
    if "pyproject.toml" in files:
        (tmp_path / "source/pyproject.toml").write_text('[project]\ndependencies = ["gunicorn"]\n')
    assert written(tmp_path)["application_requirements_file"] == chosen


def test_requirements_above_the_project_are_found(tmp_path: Path) -> None:
    source = make(tmp_path, folder="back/src", **{"shop/wsgi.py": ""})
    (source / "back/src/requirements.txt").unlink(missing_ok=True)
    (source / "requirements.txt").write_text("django\ngunicorn\n")
    assert written(tmp_path)["application_requirements_file"] == "../../requirements.txt"
    shutil.rmtree(tmp_path / "inventories")
    (source / "back/uv.lock").write_text(LOCK)
    assert written(tmp_path)["application_requirements_file"] == "../uv.lock"
    shutil.rmtree(tmp_path / "inventories")
    assert written(tmp_path, "--requirements=../../requirements.txt")["application_requirements_file"].startswith(
        "../../"
    )


def test_requirements_outside_of_the_source_are_refused(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "requirements.txt").write_text("gunicorn\n")
    assert "REQUIREMENTS lies outside of SOURCE" in refusal(tmp_path, "--requirements=../requirements.txt")


def test_a_server_that_the_project_does_not_install_is_added(tmp_path: Path) -> None:
    make(tmp_path, **{"shop/wsgi.py": "", "requirements.txt": "django\n"})
    found = written(tmp_path)
    assert found["application_python_packages"] == ["gunicorn"]
    shutil.rmtree(tmp_path / "inventories")
    assert "requirements.txt has no gunicorn, which the process web runs" in init(tmp_path)


@pytest.mark.parametrize(
    ("files", "settings", "entry"),
    [
        ({"shop/wsgi/__init__.py": ""}, "", "shop.wsgi:application"),
        ({"shop/web.py": "app = 1\n", "shop/wsgi.py": ""}, "WSGI_APPLICATION = 'shop.web.app'", "shop.web:app"),
        ({"shop/wsgi.py": ""}, "WSGI_APPLICATION = 'shop.gone.app'", "shop.wsgi:application"),
    ],
)
def test_the_entry_is_found_where_projects_have_it(
    tmp_path: Path, files: dict[str, str], settings: str, entry: str
) -> None:
    make(tmp_path, settings, **{"requirements.txt": "gunicorn\n"}, **files)
    assert commands(written(tmp_path))["web"].startswith(f"gunicorn {entry} ")


def test_asgi_alone_gets_an_asgi_server(tmp_path: Path) -> None:
    make(tmp_path, **{"shop/asgi.py": "", "requirements.txt": "django\nuvicorn\n"})
    assert commands(written(tmp_path))["web"].startswith("uvicorn shop.asgi:application --fd 3")


@pytest.mark.parametrize(
    ("requirements", "server"),
    [
        ("channels[daphne]\n", "daphne --fd 3"),
        ("channels\ngunicorn\ndaphne\n", "daphne --fd 3"),
        ("channels\ngunicorn\nuvicorn-worker\n", "gunicorn shop.asgi:application"),
        ("channels\ngunicorn\nuvicorn\n", "uvicorn shop.asgi:application"),
    ],
)
def test_an_asgi_project_runs_a_server_that_it_installs(tmp_path: Path, requirements: str, server: str) -> None:
    make(tmp_path, **{"shop/asgi.py": "application = 1\n", **WSGI, "requirements.txt": requirements})
    told = init(tmp_path)
    assert f"web {server}" in " ".join(told.split())
    assert ("uvicorn_worker.UvicornWorker" in told) == ("uvicorn-worker" in requirements)
    assert "which the process web runs" not in told


@pytest.mark.parametrize("options", [[], ["--entry=shop.asgi:application"]])
def test_gunicorn_alone_is_no_server_for_asgi(tmp_path: Path, options: list[str]) -> None:
    requirements = "gunicorn\n" if options else "channels\ngunicorn\n"
    make(tmp_path, **{"shop/asgi.py": "application = 1\n", **WSGI, "requirements.txt": requirements})
    told = init(tmp_path, *options)
    words = "requirements.txt has no uvicorn, which the process web runs: application_python_packages adds uvicorn["
    assert words in told
    assert "uvicorn_worker" not in told
