"""What holds for the repository as a whole."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT, ids, tracked

FILES = tracked()
REGISTRIES = re.compile(
    r"(pypi\.org|pythonhosted\.org|registry\.npmjs\.org|registry\.yarnpkg\.com"
    r"|(deb|security)\.debian\.org|(archive|security|ports)\.ubuntu\.com)(?!\w)"
)
DECISION_LINES = 60
STATUS = r"(accepted|replaced by \d{4})"
# The records, without their index.
DECISIONS = [path for path in FILES if path.parent == ROOT / "docs/decisions" and path.name != "README.md"]


def lines_with(pattern: str | re.Pattern[str]) -> list[str]:
    """Where a pattern occurs in tracked files, as file:line."""
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in FILES
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if re.search(pattern, line)
    ]


def starts_with_shebang(path: Path) -> bool:
    return path.read_bytes()[:2] == b"#!"


def test_nothing_names_a_path_of_the_machine_it_was_written_on() -> None:
    homes = {str(Path.home())} - {"/root", "/"}
    assert not lines_with("|".join(rf"{re.escape(path)}(?![\w-])" for path in {str(ROOT), *homes}))


def test_nothing_names_a_package_registry() -> None:
    # Which mirror serves a machine is that machine's own affair.
    assert not lines_with(REGISTRIES)


@pytest.mark.parametrize("path", ids(path for path in FILES if path.suffix == ".in"))
def test_everything_asked_for_is_pinned_with_hashes(path: Path) -> None:
    wanted = re.findall(r"^([A-Za-z0-9][\w.-]*)", path.read_text(), re.MULTILINE)
    locked = path.with_suffix(".txt").read_text().replace("\\\n", " ").splitlines()
    entries = [line for line in locked if line.strip() and not line.lstrip().startswith("#")]
    unpinned = [line for line in entries if not re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+ .*--hash=sha256:", line)]
    assert not unpinned
    assert {normal(name) for name in wanted} <= {normal(re.split(r"[\[=]", line)[0]) for line in entries}


@pytest.mark.parametrize(
    "path", ids(path for path in FILES if path.suffix == ".in" and path.relative_to(ROOT).parts[0] != "app")
)
def test_everything_that_is_pinned_is_compiled_again_by_make_lock(path: Path) -> None:
    folder, made = path.parent.relative_to(ROOT), path.with_suffix(".txt").name
    line = rf"^\t@cd {folder} && \$\(COMPILE\) .* {re.escape(path.name)} -o {re.escape(made)}$"
    assert re.search(line, (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_tests_run_with_what_the_controller_has() -> None:
    """The environment of tests is the controller's and more: `make status` does not install it again."""

    def pins(path: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (ROOT / path).read_text(), re.MULTILINE))

    assert pins("ansible/requirements.txt")
    assert pins("ansible/requirements.txt") <= pins("tests/requirements.txt")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_changelog_collects_what_is_not_released() -> None:
    assert re.search(r"^## \[?Unreleased\]?", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", ids(DECISIONS))
def test_a_decision_is_one_page_of_the_usual_form(path: Path) -> None:
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name)
    text = path.read_text()
    assert re.match(r"# [^\d\W]", text), "the number is in the file's name only"
    assert re.match(rf".*\n\n\d{{4}}-\d\d-\d\d, {STATUS}\n\n", text), "its date and its status"
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Alternatives", "Consequences"]
    assert len(text.splitlines()) <= DECISION_LINES
    assert len([*path.parent.glob(f"{path.name[:4]}-*")]) == 1
    title, _, about = text.splitlines()[:3]
    row = f"| [{path.name[:4]}]({path.name}) | {title[2:]} | {about.replace(', ', ' | ')} |"
    assert row in path.with_name("README.md").read_text().splitlines(), "its row in the index"


@pytest.mark.parametrize("path", ids(path for path in FILES if os.access(path, os.X_OK)))
def test_what_is_executable_says_what_executes_it(path: Path) -> None:
    assert starts_with_shebang(path)


# Ansible copies a module to the host and starts it there, by its first line.
MODULES = ROOT / "ansible/plugins/modules"
SCRIPTS = [path for path in FILES if starts_with_shebang(path) and path.suffix != ".j2" and path.parent != MODULES]


@pytest.mark.parametrize("path", ids(SCRIPTS))
def test_what_has_an_interpreter_is_executable(path: Path) -> None:
    assert os.access(path, os.X_OK)


def is_shell(path: Path) -> bool:
    # A template is no script before it is rendered.
    return path.suffix != ".j2" and bool(re.match(rb"#!.*\b(ba|da)?sh\b", path.read_bytes().split(b"\n")[0]))


@pytest.mark.parametrize("path", ids(path for path in FILES if is_shell(path)))
def test_shell_scripts_pass_shellcheck(path: Path) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
