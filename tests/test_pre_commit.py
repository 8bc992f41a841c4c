"""The hooks of .pre-commit-config.yaml run the repository's own tools at a commit."""

import subprocess
import sys
from pathlib import Path

from repository import ROOT


def test_a_commit_is_refused_for_what_a_tool_finds(tmp_path: Path) -> None:
    def run(*command: str, code: int = 0) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    (tmp_path / ".config").mkdir()
    for name in (".pre-commit-config.yaml", "pyproject.toml", ".config/kingfisher.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    (tmp_path / "wrong.sh").write_text("#!/bin/sh\necho $HOME\n")
    (tmp_path / "wrong.py").write_text("import os\n")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key")
    run("git", "init", "--quiet")
    run("git", "add", "wrong.sh", "wrong.py", "key", ".pre-commit-config.yaml")
    run("sh", "-c", ".venv/bin/pre-commit install")
    said = run("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--message=a", code=1)
    assert "SC2086" in said
    assert "F401" in said
    assert "PRIVATE-KEY" in said
