"""Every command that a README shows exists and is run somewhere."""

import re

import pytest
from readme_commands import COMMANDS
from repository import ROOT, tracked

READMES = [ROOT / folder / "README.md" for folder in (".", "app", "examples/spa")]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")


def commands(text):
    """The commands in fenced blocks: lines after `$ ` in `console`, every line in `sh`."""
    for language, body in FENCE.findall(text):
        for line in body.replace("\\\n", " ").splitlines():
            if language == "console" and line.startswith("$ "):
                yield " ".join(line[2:].split("  #")[0].split())
            elif language in ("sh", "bash", "shell") and line.strip() and not line.lstrip().startswith("#"):
                yield " ".join(line.split("  #")[0].split())


def targets(text):
    """The targets of every `make ...` in code, also several after one `make`."""
    code = "\n".join([body for _, body in FENCE.findall(text)] + SPAN.findall(FENCE.sub("", text)))
    for words in re.findall(r"(?:^|[\s;&])make((?: +[a-z][a-z-]*(?![\w=./]))+)", code, re.MULTILINE):
        yield from words.split()


SHOWN = {path: sorted(set(commands(path.read_text()))) for path in READMES}
PAGES = [path for path in tracked() if path.suffix == ".md"]


@pytest.mark.parametrize("command", sorted({command for shown in SHOWN.values() for command in shown}))
def test_a_command_of_the_readme_is_run(command):
    assert command in COMMANDS, "say in tests/readme_commands.py where it is run"
    file, _, function = COMMANDS[command].partition("::")
    evidence = rf"^def {re.escape(function)}\(" if function else rf"(?<![\w-]){re.escape(command)}(?![\w-])"
    assert re.search(evidence, (ROOT / file).read_text(), re.MULTILINE), f"{file} does not run it"


def test_no_command_is_listed_that_no_readme_shows():
    assert not set(COMMANDS).difference(*SHOWN.values())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_that_pages_name_exist(path):
    makefile = (ROOT / "Makefile").read_text() if (ROOT / "Makefile").exists() else ""
    known = {name for line in re.findall(r"^([a-z][a-z -]*):(?!=)", makefile, re.MULTILINE) for name in line.split()}
    assert not set(targets(path.read_text())) - known


def test_each_readme_shows_commands():
    assert all(SHOWN.values())
