"""The workflows of the hosted pipeline are valid, and the tool that says so is able to say no."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = Path(sys.executable).parent
WORKFLOW = """
on: push
jobs:
  test:
    runs-on: ubuntu-24.04
    strategy: {matrix: {os: [one]}}
    steps:
      - STEP
"""


def actionlint(*paths: Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [TOOLS / "actionlint", "-no-color", "-shellcheck", TOOLS / "shellcheck", *paths]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_our_workflows_are_valid() -> None:
    done = actionlint(*(ROOT / ".github/workflows").glob("*.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("run: echo ${{ matrix.so }}", 'property "so" is not defined'),
        ("rum: echo", "must run script"),
        ("run: echo $HOME", "SC2086"),
        ("run: echo ${{ github.event.head_commit.message }}", "potentially untrusted"),
    ],
)
def test_a_broken_workflow_is_refused(tmp_path: Path, step: str, complaint: str) -> None:
    path = tmp_path / "broken.yml"
    path.write_text(WORKFLOW.replace("STEP", step))
    done = actionlint(path)
    assert done.returncode == 1
    assert complaint in done.stdout
