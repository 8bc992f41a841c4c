"""Break the project in one place at a time, and see that its fast tests notice: `make mutants`.

tools/mutants.toml says what is broken, and which tests must fail then. Each mutant is a copy of the working tree in a
temporary folder; the working tree itself is never touched.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tools/mutants.toml"
# Longer than any of the tests takes, also where many run at once.
TIMEOUT_SECONDS = 150
# Of pytest: all tests passed, some failed; of timeout: they did not end.
PASSED, FAILED, TIMED_OUT = 0, 1, 124
# Servers of pg_virtualenv that start at the same moment take each other for their own.
ONE_DATABASE = threading.Lock()
DATABASE_URL = "postgres://$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/postgres"


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    old: str
    new: str
    tests: str
    # Whether the tests need a PostgreSQL.
    database: bool = False


@dataclass(frozen=True)
class Result:
    name: str
    is_good: bool
    text: str
    seconds: float = 0


def read_mutants(table: Path) -> list[Mutant]:
    return [Mutant(**each) for each in tomllib.loads(table.read_text())["mutant"]]


def mutate(mutant: Mutant, root: Path) -> str:
    """The text of the file with the change in it; ValueError where it cannot be made in exactly one place."""
    path = root / mutant.file
    text = path.read_text() if path.is_file() else ""
    if text.count(mutant.old) != 1:
        raise ValueError(
            f"{mutant.file} has the old text {text.count(mutant.old)} times instead of once: "
            f"change the mutant in {TABLE.name}."
        )
    return text.replace(mutant.old, mutant.new)


def copy(source: Path, folder: Path) -> None:
    """What is, or is about to be, in the repository; installed packages are only linked."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=source, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        path = folder / name
        if os.path.lexists(source / name):
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, path, follow_symlinks=False)
    for name in (".venv", ".cache"):
        (folder / name).symlink_to(source / name)


def run_tests(root: Path, tests: str, database: bool) -> tuple[int, str]:
    """The exit code of pytest, and the test that failed; where none is named, the last line."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    folder, python = (
        (root / "app", "../.cache/app/bin/python") if tests.startswith("app/") else (root, ".venv/bin/python")
    )
    words = [word.removeprefix("app/") for word in tests.split()]
    command = [python, "-m", "pytest", *words, "--exitfirst", "--quiet", "-p", "no:cacheprovider"]
    if database:
        command = ["pg_virtualenv", "-t", "sh", "-c", f'DATABASE_URL={DATABASE_URL} "$@"', "sh", *command]
    else:
        environment["DATABASE_URL"] = "postgres:///unused"
    # Of GNU coreutils: it ends what the command started, too.
    command = ["timeout", str(TIMEOUT_SECONDS), *command]
    with ONE_DATABASE if database else contextlib.nullcontext():
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == TIMED_OUT:
        return TIMED_OUT, f"The tests did not end within {TIMEOUT_SECONDS} s."
    lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
    failed = [line for line in lines if line.startswith("FAILED ")]
    return done.returncode, (failed or lines)[-1]


def judge(mutant: Mutant) -> Result:
    """Whether the tests of a mutant fail."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="slipway-mutant-") as name:
        folder = Path(name)
        try:
            changed = mutate(mutant, ROOT)
        except ValueError as error:
            return Result(mutant.name, False, str(error))
        copy(ROOT, folder)
        (folder / mutant.file).write_text(changed)
        code, line = run_tests(folder, mutant.tests, mutant.database)
    seconds = time.monotonic() - began
    if code == PASSED:
        return Result(mutant.name, False, f"survived: {mutant.tests} passed", seconds)
    # Whatever else ends with this code, such as a server that did not start, is no test that noticed.
    if code != FAILED or not line.startswith("FAILED "):
        return Result(mutant.name, False, f"the tests did not run: {line}", seconds)
    return Result(mutant.name, True, line.removeprefix("FAILED ").partition(" - ")[0], seconds)


def judge_original(tests: str, database: bool) -> Result:
    """Tests that fail without a change say nothing about one."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="slipway-mutant-") as name:
        copy(ROOT, Path(name))
        code, line = run_tests(Path(name), tests, database)
    return Result("(no change)", code == PASSED, f"{tests}: {line}", time.monotonic() - began)


def show(result: Result) -> None:
    print(f"{'ok  ' if result.is_good else 'BAD '} {result.name:44} {result.seconds:5.1f} s  {result.text}", flush=True)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Break one line at a time, and see that a fast test notices.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at once")
    parser.add_argument("part", nargs="?", default="", help="only mutants whose name has this")
    options = parser.parse_args(arguments)
    mutants = [mutant for mutant in read_mutants(TABLE) if options.part in mutant.name]
    if not mutants:
        print(f"No mutant of {TABLE.name} has {options.part!r} in its name.", file=sys.stderr)
        return 2
    began = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        originals = dict.fromkeys((mutant.tests, mutant.database) for mutant in mutants)
        pending = [pool.submit(judge_original, *original) for original in originals]
        pending += [pool.submit(judge, mutant) for mutant in mutants]
        results = []
        for each in pending:
            results.append(each.result())
            show(results[-1])
    bad = [result for result in results if not result.is_good]
    seconds = round(time.monotonic() - began)
    if bad:
        print(f"\n{len(bad)} of {len(results)} are not as they should be, after {seconds} s:")
        for result in bad:
            show(result)
        return 1
    print(f"\nAll {len(mutants)} mutants were noticed, in {seconds} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
