"""What a source has and `git archive` leaves out comes along, or is refused with its path."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.action import source
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.git import reason

IMAGE = b"a large image"
DIGEST = hashlib.sha256(IMAGE).hexdigest()
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{DIGEST}\nsize {len(IMAGE)}\n"


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "protocol.file.allow=always"]
    return subprocess.run(["git", *who, "-C", folder, *words], check=True, capture_output=True, text=True).stdout


def repository(folder: Path, **files: str) -> Path:
    """A repository with one commit of these files."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    return folder


def released(tmp_path: Path, checkout: Path, **options: Any) -> dict[str, bytes]:
    """What the release holds, by name."""
    found = source.resolve(tmp_path / "cache", str(checkout), "HEAD", "app", **options)
    with tarfile.open(found["archive"]) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name: file.read() for name, file in files.items() if file}


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    """A checkout whose project has a submodule with a submodule."""
    inner = repository(tmp_path / "inner", deep_DOT_css="deep")
    outer = repository(tmp_path / "outer", theme_DOT_css="theme", _DOT_gitattributes="theme.css export-ignore\n")
    git(outer, "submodule", "--quiet", "add", str(inner), "inner")
    git(outer, "commit", "--quiet", "-m", "two")
    checkout = repository(tmp_path / "checkout", app__manage_DOT_py="")
    git(checkout, "submodule", "--quiet", "add", str(outer), "app/static/theme")
    git(checkout, "submodule", "--quiet", "update", "--init", "--recursive")
    git(checkout, "commit", "--quiet", "-m", "two")
    return checkout


def test_submodules_come_along(tmp_path: Path, nested: Path) -> None:
    files = released(tmp_path, nested)
    assert files["static/theme/theme.css"] == b"theme"
    assert files["static/theme/inner/deep.css"] == b"deep"


@pytest.mark.parametrize("missing", ["app/static/theme", "app/static/theme/inner"])
def test_a_submodule_that_is_not_checked_out_is_refused(tmp_path: Path, nested: Path, missing: str) -> None:
    """It once became an empty folder, and nothing said so."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(nested), str(clone))
    if missing.endswith("inner"):
        git(clone, "submodule", "--quiet", "update", "--init")
    with pytest.raises(UserError, match=f"^{missing} is a submodule, and its commit .* is not here: run `git sub"):
        released(tmp_path, clone)


def test_a_submodule_of_a_repository_elsewhere_is_refused(tmp_path: Path, nested: Path) -> None:
    with pytest.raises(UserError, match=r"^app/static/theme is a submodule"):
        released(tmp_path, nested, repository=str(nested))


def test_a_submodule_outside_of_the_project_is_none_of_its_business(tmp_path: Path, nested: Path) -> None:
    git(nested, "mv", "app/static/theme", "theme")
    git(nested, "commit", "--quiet", "--all", "-m", "three")
    assert set(released(tmp_path, nested, repository=str(nested))) == {"manage.py"}


def test_an_uncommitted_change_of_a_submodule_is_refused(tmp_path: Path, nested: Path) -> None:
    (nested / "app/static/theme/theme.css").write_text("new")
    with pytest.raises(UserError, match="The submodule app/static/theme has changes that are not committed"):
        released(tmp_path, nested, uncommitted=True)


def test_what_archives_are_to_ignore_comes_along(tmp_path: Path) -> None:
    attributes = "*.css export-ignore\nlink export-ignore\n"
    checkout = repository(tmp_path / "checkout", app__manage_DOT_py="", _DOT_gitattributes=attributes)
    (checkout / "app/latin-\udce9.css").write_text("kept")
    (checkout / "app/link").symlink_to("manage.py")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "two")
    files = released(tmp_path, checkout)
    assert files["latin-\udce9.css"] == b"kept"
    (archive,) = (tmp_path / "cache/releases").glob("*/*.tar.gz")
    with tarfile.open(archive) as packed:
        assert packed.getmember("link").linkname == "manage.py"


@pytest.mark.parametrize(
    ("name", "target", "is_named"),
    [
        ("common", "../common", True),
        ("templates/base.html", "../../common/base.html", True),
        ("uploads", "/srv/uploads", True),
        ("templates/base.html", "../manage.py", False),
        ("start", "./manage.py", False),
        ("..data", "..data.d", False),
        ("itself", ".", False),
    ],
)
def test_a_link_out_of_the_project_is_named(tmp_path: Path, name: str, target: str, is_named: bool) -> None:
    """It led nowhere in a release, and nothing said so."""
    checkout = repository(tmp_path / "checkout", app__manage_DOT_py="", common__base_DOT_html="")
    (checkout / "app" / name).parent.mkdir(exist_ok=True)
    (checkout / "app" / name).symlink_to(target)
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "two")
    warnings = source.resolve(tmp_path / "cache", str(checkout), "HEAD", "app")["warnings"]
    told = f"{name} is a link to {target}, which lies outside of the project"
    assert [warning.startswith(told) for warning in warnings] == [True] * is_named


@pytest.mark.parametrize("name", ["f\u00fc\u00dfe.css", f"{'long/' * 60}name.css"])
def test_names_of_any_kind_come_along(tmp_path: Path, name: str) -> None:
    """They once stayed in the folder of the project, below the release's own."""
    checkout = repository(tmp_path / "checkout", app__manage_DOT_py="")
    (checkout / "app" / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / "app" / name).write_text("kept")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "two")
    assert set(released(tmp_path, checkout)) == {"manage.py", name}


def test_what_git_lfs_keeps_comes_along(tmp_path: Path) -> None:
    checkout = repository(tmp_path / "checkout", app__manage_DOT_py="", app__image_DOT_png=POINTER)
    kept = checkout / f".git/lfs/objects/{DIGEST[:2]}/{DIGEST[2:4]}/{DIGEST}"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(IMAGE)
    assert released(tmp_path, checkout)["image.png"] == IMAGE


def test_a_pointer_of_git_lfs_is_refused(tmp_path: Path) -> None:
    """It was once served in place of the image."""
    checkout = repository(tmp_path / "checkout", app__manage_DOT_py="", app__image_DOT_png=POINTER)
    with pytest.raises(UserError, match=r"^app/image\.png is only a pointer of git-lfs: run `git lfs pull`"):
        released(tmp_path, checkout)
    tarball = tmp_path / "shop.tar"
    git(checkout, "archive", f"--output={tarball}", "HEAD")
    with pytest.raises(UserError, match=r"^app/image\.png is only a pointer"):
        released(tmp_path, checkout, tarball=str(tarball))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            "git@git.example: Permission denied (publickey).\nfatal: Could not read from remote repository.\n\n"
            "Please make sure you have the correct access rights\nand the repository exists.\n",
            "git@git.example: Permission denied (publickey). fatal: Could not read from remote repository",
        ),
        (
            "remote: The project you were looking for could not be found.\n"
            "fatal: repository 'https://ada:s3cret@git.example/shop.git/' not found\n",
            "remote: The project you were looking for could not be found. "
            "fatal: repository 'https://git.example/shop.git/' not found",
        ),
        ("warning: redirecting\nfatal: no route\n", "fatal: no route"),
        ("", "no answer"),
    ],
)
def test_why_git_failed_is_told_with_what_was_said_before(said: str, why: str) -> None:
    assert reason(subprocess.CompletedProcess([], 128, "", said)) == why
