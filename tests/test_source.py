"""What is released is exactly what somebody committed, or asked for by name."""

import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.action import source
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.git import without_login
from ansible_collections.slipway.host.plugins.plugin_utils import archives

GIT = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com"]


def git(folder: Path, *words: str) -> str:
    return subprocess.run([*GIT, "-C", folder, *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a Django project in app/, and one commit."""
    folder = tmp_path / "checkout"
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "manage.py").write_text("# one\n")
    (folder / "README.md").write_text("not released\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    return folder


def resolve(tmp_path: Path, **options: Any) -> dict[str, Any]:
    given = {"checkout": tmp_path / "checkout", "ref": "HEAD", "folder": "app", **options}
    return source.resolve(cache=tmp_path / "cache", **given)


def content(found: dict[str, Any], name: str = "manage.py") -> str:
    with tarfile.open(found["archive"]) as archive:
        file = archive.extractfile(name)
        assert file
        return file.read().decode()


def names(found: dict[str, Any]) -> list[str]:
    with tarfile.open(found["archive"]) as archive:
        return sorted(member.name for member in archive if member.isfile())


def test_a_release_is_named_after_its_commit(tmp_path: Path, checkout: Path) -> None:
    found = resolve(tmp_path)
    assert found["commit"] == git(checkout, "rev-parse", "HEAD")
    assert found["release"] == found["commit"][:12]
    assert names(found) == ["manage.py"]


@pytest.fixture
def locked(checkout: Path) -> Path:
    """The checkout, with a lock above its project."""
    for name in ("uv.lock", "pyproject.toml", "README.txt.orig"):
        (checkout / name).write_text(f"# {name}\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "lock")
    return checkout


def test_requirements_above_the_project_come_along(tmp_path: Path, locked: Path) -> None:
    found = resolve(tmp_path, requirements="../uv.lock")
    assert names(found) == [".requirements/pyproject.toml", ".requirements/uv.lock", "manage.py"]
    assert content(found, ".requirements/uv.lock") == "# uv.lock\n"
    assert resolve(tmp_path)["archive"] != found["archive"]
    assert resolve(tmp_path, repository=str(locked), ref="main", requirements="../uv.lock")["archive"]


def test_requirements_above_a_project_in_a_tarball_come_along(tmp_path: Path, locked: Path) -> None:
    tarball = tmp_path / "shop.tar.gz"
    git(locked, "archive", "--format=tar.gz", "--prefix=shop-1/", f"--output={tarball}", "HEAD")
    found = resolve(tmp_path, tarball=str(tarball), requirements="../uv.lock")
    assert names(found) == [".requirements/pyproject.toml", ".requirements/uv.lock", "manage.py"]


def test_changed_requirements_above_the_project_are_told(tmp_path: Path, locked: Path) -> None:
    (locked / "uv.lock").write_text("# new\n")
    assert resolve(tmp_path)["warnings"] == []
    assert "uv.lock" in resolve(tmp_path, requirements="../uv.lock")["warnings"][0]


@pytest.mark.parametrize(
    ("requirements", "sentence"),
    [
        ("../poetry.lock", "The project has no ../poetry.lock: commit it"),
        ("../../uv.lock", "lies outside of the source"),
    ],
)
def test_requirements_that_are_not_above_the_project_are_refused(
    tmp_path: Path, locked: Path, requirements: str, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        resolve(tmp_path, requirements=requirements)


def test_a_checkout_may_be_named_by_a_folder_in_it(tmp_path: Path, checkout: Path) -> None:
    assert names(resolve(tmp_path, checkout=checkout / "app")) == ["manage.py"]


def test_what_is_not_committed_is_not_released(tmp_path: Path, checkout: Path) -> None:
    (checkout / "app" / "manage.py").write_text("# two\n")
    found = resolve(tmp_path)
    assert content(found) == "# one\n"
    assert "1 changed files are not committed" in found["warnings"][0]


def test_what_is_not_committed_is_released_on_request(tmp_path: Path, checkout: Path) -> None:
    (checkout / "app" / "manage.py").write_text("# two\n")
    (checkout / "app" / "new.py").write_text("")
    found = resolve(tmp_path, uncommitted=True)
    assert content(found) == "# two\n"
    assert names(found) == ["manage.py", "new.py"]
    assert found["release"].startswith(git(checkout, "rev-parse", "HEAD")[:12] + "-")
    assert git(checkout, "status", "--porcelain").splitlines() == ["M app/manage.py", "?? app/new.py"]


def test_a_clean_tree_is_its_commit_even_on_request(tmp_path: Path, checkout: Path) -> None:
    assert "-" not in resolve(tmp_path, uncommitted=True)["release"]


@pytest.mark.parametrize("ref", ["v1", "work"])
def test_a_tag_or_branch_names_a_release(tmp_path: Path, checkout: Path, ref: str) -> None:
    git(checkout, "tag", "v1")
    git(checkout, "branch", "work")
    (checkout / "app" / "manage.py").write_text("# two\n")
    git(checkout, "commit", "--quiet", "--all", "-m", "two")
    assert content(resolve(tmp_path, ref=ref)) == "# one\n"


@pytest.mark.usefixtures("checkout")
def test_a_reference_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no commit, tag or branch v9"):
        resolve(tmp_path, ref="v9")


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize("folder", ["src", ""])
def test_a_source_that_is_no_django_project_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(UserError, match="application_source_folder"):
        resolve(tmp_path, folder=folder)


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    with pytest.raises(UserError, match="is no git checkout"):
        resolve(tmp_path)


def test_a_repository_is_fetched_anew_each_time(tmp_path: Path, checkout: Path) -> None:
    first = resolve(tmp_path, repository=str(checkout), ref="main")
    (checkout / "app" / "manage.py").write_text("# two\n")
    git(checkout, "commit", "--quiet", "--all", "-m", "two")
    second = resolve(tmp_path, repository=str(checkout), ref="main")
    assert (content(first), content(second)) == ("# one\n", "# two\n")


def test_a_repository_that_does_not_answer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be fetched"):
        resolve(tmp_path, repository=str(tmp_path / "nowhere"))


def test_a_fetch_that_was_killed_is_no_hindrance(tmp_path: Path, checkout: Path) -> None:
    resolve(tmp_path, repository=str(checkout), ref="main")
    (copy,) = (tmp_path / "cache/repositories").iterdir()
    (copy / "refs/heads/main.lock").touch()
    (copy / "config").unlink()
    (checkout / "app" / "manage.py").write_text("# two\n")
    git(checkout, "commit", "--quiet", "--all", "-m", "two")
    assert content(resolve(tmp_path, repository=str(checkout), ref="main")) == "# two\n"


def test_a_password_in_an_address_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        resolve(tmp_path, repository="https://ada:s3cret@127.0.0.1:1/shop.git")
    assert "https://127.0.0.1:1/shop.git cannot be fetched" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_archives_of_long_ago_go(tmp_path: Path, checkout: Path) -> None:
    first = resolve(tmp_path)
    folder = Path(first["archive"]).parent
    for number in range(archives.KEPT):
        (folder / f"{number}.tar.gz").touch()
    os.utime(first["archive"], (1, 1))
    (checkout / "app" / "manage.py").write_text("# two\n")
    git(checkout, "commit", "--quiet", "--all", "-m", "two")
    assert resolve(tmp_path)["archive"]
    assert not Path(first["archive"]).exists()


@pytest.mark.parametrize(("root", "folder"), [("shop-1.2/app", "app"), ("shop-1.2", ""), (".", "")])
def test_a_tarball_is_a_source_wherever_its_project_lies(tmp_path: Path, root: str, folder: str) -> None:
    packed = tmp_path / "packed" / root
    packed.mkdir(parents=True)
    (packed / "manage.py").write_text("# packed\n")
    tarball = tmp_path / "shop.tar.gz"
    with tarfile.open(tarball, "w:gz") as archive:
        archive.add(tmp_path / "packed", arcname=".")
    found = resolve(tmp_path, tarball=str(tarball), folder=folder)
    assert content(found) == "# packed\n"
    assert found["release"] == resolve(tmp_path, tarball=str(tarball), folder=folder)["release"]


def test_links_of_a_tarball_are_released(tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "manage.py").write_text("# packed\n")
    (packed / "second_name.py").hardlink_to(packed / "manage.py")
    (packed / "link.py").symlink_to("manage.py")
    tarball = tmp_path / "shop.tar.gz"
    with tarfile.open(tarball, "w:gz") as archive:
        archive.add(packed, arcname="shop")
    found = resolve(tmp_path, tarball=str(tarball), folder="")
    assert content(found, "second_name.py") == "# packed\n"
    with tarfile.open(found["archive"]) as archive:
        assert archive.getmember("link.py").linkname == "manage.py"


def test_a_file_that_is_no_tarball_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shop.tar.gz").write_text("no")
    with pytest.raises(UserError, match="cannot be read"):
        resolve(tmp_path, tarball=str(tmp_path / "shop.tar.gz"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"requirements": "uv.lock"},
            "no uv.lock: commit it, or name another in application_requirements_file, for ex",
        ),
        ({"settings": "shop.settings.prod"}, "application_settings_module, for example shop.settings.production"),
    ],
)
def test_a_project_without_what_the_inventory_names_is_refused(
    tmp_path: Path, checkout: Path, options: dict[str, str], sentence: str
) -> None:
    (checkout / "app/shop/settings").mkdir(parents=True)
    (checkout / "app/shop/settings/production.py").touch()
    (checkout / "app/requirements.txt").touch()
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "shop")
    with pytest.raises(UserError, match=sentence):
        resolve(tmp_path, **options)
    assert resolve(tmp_path, requirements="requirements.txt", settings="shop.settings.production")


@pytest.mark.usefixtures("checkout")
def test_settings_of_an_installed_package_are_left_to_the_build(tmp_path: Path) -> None:
    assert resolve(tmp_path, settings="company.settings")


@pytest.mark.parametrize("branch", ["main", "develop"])
def test_a_repository_is_released_from_its_default_branch(tmp_path: Path, checkout: Path, branch: str) -> None:
    git(checkout, "branch", "master")
    git(checkout, "checkout", "--quiet", "-B", branch)
    (checkout / "app" / "manage.py").write_text("# default\n")
    git(checkout, "commit", "--quiet", "--all", "-m", "two")
    assert content(resolve(tmp_path, repository=str(checkout))) == "# default\n"


def test_a_default_branch_that_has_changed_is_followed(tmp_path: Path, checkout: Path) -> None:
    assert content(resolve(tmp_path, repository=str(checkout))) == "# one\n"
    git(checkout, "checkout", "--quiet", "-b", "develop")
    (checkout / "app" / "manage.py").write_text("# two\n")
    git(checkout, "commit", "--quiet", "--all", "-m", "two")
    assert content(resolve(tmp_path, repository=str(checkout))) == "# two\n"


def test_a_fetch_that_fails_is_told_in_the_words_that_say_why(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be fetched: fatal: '.*nowhere' does not appear to be a git repo"):
        resolve(tmp_path, repository=str(tmp_path / "nowhere"))


@pytest.mark.parametrize("login", ["ada:s3cret@", "s3cret@", "ada:s3c/s3cret@", "ada:s3@s3cret@"])
def test_no_login_of_an_address_is_shown(login: str) -> None:
    text = f"fatal: unable to access 'https://{login}git.example/shop.git/': no route"
    assert without_login(text) == "fatal: unable to access 'https://git.example/shop.git/': no route"
