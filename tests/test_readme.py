"""Every command that a README shows exists, is run somewhere, and prints what the README says."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import test_status
from ansible_collections.slipway.host.plugins.module_utils.status import HostStatus
from readme_commands import COMMANDS, WORDS
from repository import ROOT, tracked

READMES = [ROOT / folder / "README.md" for folder in (".", "app", "examples/spa")] + [ROOT / "CONTRIBUTING.md"]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")


def commands(text: str) -> Iterator[str]:
    """The commands in fenced blocks: lines after `$ ` in `console`, every line in `sh`."""
    for language, body in FENCE.findall(text):
        for line in body.replace("\\\n", " ").splitlines():
            if language == "console" and line.startswith("$ "):
                yield " ".join(line[2:].split("  #")[0].split())
            elif language in ("sh", "bash", "shell") and line.strip() and not line.lstrip().startswith("#"):
                yield " ".join(line.split("  #")[0].split())


def targets(text: str) -> Iterator[str]:
    """The targets of every `make ...` in code, also several after one `make`."""
    code = "\n".join([body for _, body in FENCE.findall(text)] + SPAN.findall(FENCE.sub("", text)))
    for words in re.findall(r"(?:^|[\s;&])make((?: +[a-z][a-z-]*(?![\w=./]))+)", code, re.MULTILINE):
        yield from words.split()


# A function that takes its commands from a README, and so follows it.
READS_README = re.compile(r"README\.md|CONTRIBUTING\.md")


def read_function(file: str, name: str) -> str:
    """The statements of a function, without its docstring: one that does nothing is no evidence."""
    text = (ROOT / file).read_text()
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    (function,) = [function for function in functions if function.name == name]
    statements = function.body[1:] if ast.get_docstring(function) else function.body
    return "\n".join(ast.get_source_segment(text, statement) or "" for statement in statements)


SHOWN = {path: sorted(set(commands(path.read_text()))) for path in READMES}
PAGES = [path for path in tracked() if path.suffix == ".md"]


@pytest.mark.parametrize("command", sorted({command for shown in SHOWN.values() for command in shown}))
def test_a_command_of_the_readme_is_run(command: str) -> None:
    assert command in COMMANDS, "say in tests/readme_commands.py where it is run"
    file, _, function = COMMANDS[command].partition("::")
    text = read_function(file, function) if function else (ROOT / file).read_text()
    words = [WORDS.get(command, command)] if not READS_README.search(text) else []
    assert all(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) for word in words), f"{file} does not run it"


def test_no_command_is_listed_that_no_readme_shows() -> None:
    assert not set(COMMANDS).difference(*SHOWN.values())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_that_pages_name_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text() if (ROOT / "Makefile").exists() else ""
    known = {name for line in re.findall(r"^([a-z][a-z -]*):(?!=)", makefile, re.MULTILINE) for name in line.split()}
    assert not set(targets(path.read_text())) - known


def test_each_readme_shows_commands() -> None:
    assert all(SHOWN.values())


def output(command: str) -> list[str]:
    """The lines that README.md shows below a command."""
    (block,) = [body for _, body in FENCE.findall((ROOT / "README.md").read_text()) if f"$ {command}\n" in body]
    return [line for line in block.splitlines()[1:] if line.strip() not in ("", "...")]


def test_make_up_ends_with_what_the_readme_shows(tmp_path: Path) -> None:
    inventory = tmp_path / "inventories/local"
    inventory.mkdir(parents=True)
    machines = {"all": {"vars": {"project_https_port": 8443}, "hosts": {"slipway": {"ansible_host": "10.77.0.2"}}}}
    inventory.joinpath("machines.yml").write_text(f"# Written by a test.\n{json.dumps(machines)}")
    command = [sys.executable, str(ROOT / "tools/welcome.py"), "inventories/local"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    printed = [line for line in done.stdout.splitlines() if line]
    shown = output("make up")
    assert shown
    assert shown == printed[: len(shown)]


def test_make_status_prints_what_the_readme_shows() -> None:
    host: HostStatus = {
        **test_status.HOST,
        "name": "slipway",
        "by": "ada@laptop",
        "services": dict.fromkeys(["nginx", "postgresql", "rabbitmq-server"], test_status.RUNS),
        "queues": {"queues": {"default": 0, "unknown": 0}, "reachable": True},
    }
    printed = test_status.shown({"slipway": host}, environment="local").splitlines()
    assert output("make status") == [line for line in printed if line]
