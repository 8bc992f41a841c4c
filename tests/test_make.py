"""What `make` runs for what is typed, and what it refuses; the programs that it would start only write that down."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from repository import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
# Writes down what it was started with, and what of the environment matters.
PROGRAM = """#!/bin/sh
{ [ -z "$SLIPWAY_ONLY" ] || printf 'SLIPWAY_ONLY=%s ' "$SLIPWAY_ONLY"
printf '%s' "${0##*/}"; printf ' %s' "$@"; echo; } >>"$RECORD"
"""
# What a command line starts at last, as the shell sees it. Each option of each target is here once.
STARTS = {
    "init NAME=shop DOMAIN=a SOURCE=b FOLDER=c HOST=d SETTINGS=e ENTRY=f CELERY=g REQUIREMENTS=h HEALTH=i DATABASE=j "
    "BROKER=k": "python -m init --name=shop --domain=a --source=b --folder=c --host=d --settings=e --entry=f "
    "--celery=g --requirements=h --health=i --database=j --broker=k",
    "provision ENV=production YES=yes TAGS=nginx,base_swap LIMIT=web1:web2 LOGIN=root": "ansible-playbook "
    "-i inventories/production ansible/site.yml --tags=nginx,base_swap --limit=web1:web2 -e ansible_ssh_user=root",
    "provision TAGS=nginx": "ansible-playbook -i inventories/local ansible/site.yml --tags=nginx",
    "deploy": "ansible-playbook -i inventories/local ansible/deploy.yml",
    "deploy ENV=production YES=yes REF=v1 LIMIT=web1 BREAKING=yes UNCOMMITTED=yes": "ansible-playbook "
    "-i inventories/production ansible/deploy.yml --limit=web1 -e application_source_ref=v1 "
    '-e {"release_breaking_migrations_enabled": true} -e {"application_uncommitted_enabled": true}',
    "rollback ENV=staging YES=yes RELEASE=good REVERSE=yes": "ansible-playbook -i inventories/staging "
    'ansible/rollback.yml -e release_target=good -e {"release_reverse_migrations_enabled": true}',
    "maintenance ENV=staging YES=yes STATE=on": "ansible-playbook -i inventories/staging ansible/maintenance.yml "
    "-e maintenance=on",
    "unlock ENV=staging YES=yes": "ansible-playbook -i inventories/staging ansible/unlock.yml "
    '-e {"release_unlock_confirmed": true}',
    "plan ENV=staging REF=v1 LIMIT=web1": "ansible-playbook -i inventories/staging ansible/site.yml ansible/deploy.yml "
    "--check --diff --limit=web1 -e application_source_ref=v1",
    "status ENV=staging DRIFT=yes JSON=yes": "ansible-playbook -i inventories/staging ansible/status.yml "
    "ansible/site.yml --check",
    "history ENV=staging JSON=yes": "ansible-playbook -i inventories/staging ansible/history.yml",
    "verify ENV=staging LIMIT=web1 K=maintenance": "python -m pytest --quiet molecule/testinfra --hosts=web1 "
    "-k maintenance --ansible-inventory=inventories/staging -m not destructive",
    "grade ENV=staging LIMIT=web1 K=lynis SAVE=yes": "python -m grade inventories/staging --limit=web1 --only=lynis "
    "--save",
    "check JOBS=3": "python -m pytest --quiet --numprocesses=3 --ignore=tests/local_development --ignore=tests/heroku "
    "--ignore=tests/vagrant tests",
    "contracts": f"python -m pytest --quiet --numprocesses={len(os.sched_getaffinity(0))} "
    "--ignore=tests/local_development --ignore=tests/heroku --ignore=tests/vagrant tests",
    "contracts JOBS=3": "python -m pytest --quiet --numprocesses=3 --ignore=tests/local_development "
    "--ignore=tests/heroku --ignore=tests/vagrant tests",
    "contracts K='source and not tarball'": "python -m pytest --quiet -k source and not tarball "
    "--ignore=tests/local_development --ignore=tests/heroku --ignore=tests/vagrant tests",
    "audit": "python tools/audit.py",
    "mutants JOBS=3 K=nginx": "python tools/mutants.py --jobs=3 nginx",
    "unit K=test_origins": "pg_virtualenv -t sh -c DATABASE_URL=postgres://$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/"
    'postgres python -m pytest --quiet "$@" sh -k test_origins',
    "molecule SCENARIO=releases STEP=verify K='one or two'": "SLIPWAY_ONLY=one or two "
    "molecule verify --scenario-name releases",
    "soak JOBS=1": "python -m pytest --quiet --tb=short tests/vagrant",
    "test JOBS=1": "python -m pytest --quiet --tb=short tests/local_development",
}


class Made:
    """What a command line did: its exit code, what it said, and what it started."""

    def __init__(self, done: subprocess.CompletedProcess[str], record: Path) -> None:
        self.code, self.said = done.returncode, done.stdout + done.stderr
        self.started = record.read_text().splitlines() if record.exists() else []


Make = Callable[..., Made]


def write_program(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PROGRAM)
    path.chmod(0o755)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make` in a folder with this Makefile, where every program is one that only writes down."""
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/arguments.py").write_text((ROOT / "tools/arguments.py").read_text())
    for name in ("roles", "inventories"):
        (tmp_path / name).symlink_to(ROOT / name)
    for folder in ("app", "tests/heroku", "tools/grade", "examples/spa", ".cache"):
        (tmp_path / folder).mkdir(parents=True)
    # Newer than what they are made of, so that nothing is installed or built.
    for made in ("package-lock.json", "node_modules/.package-lock.json", "dist/index.html"):
        for folder in ("tests/heroku", "tools/grade", "examples/spa"):
            (tmp_path / folder / made).parent.mkdir(exist_ok=True)
            (tmp_path / folder / made).touch()
    (tmp_path / "app/openapi.yaml").touch()
    os.utime(tmp_path / "app/openapi.yaml", (0, 0))
    for script in set(re.findall(r"[\w/]+\.sh\b", MAKEFILE)):
        write_program(tmp_path / script)
    for name in ("python", "ansible", "ansible-playbook", "ansible-lint", "kingfisher", "ruff", "mypy", "molecule"):
        write_program(tmp_path / ".venv/bin" / name)
    write_program(tmp_path / ".cache/app/bin/mypy")
    for name in ("git", "npm", "pg_virtualenv"):
        write_program(tmp_path / "bin" / name)

    def run(words: str, **environment: str) -> Made:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        record = tmp_path / "record"
        record.unlink(missing_ok=True)
        kept |= {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "RECORD": str(record), **environment}
        command = ["make", "--no-print-directory", *shlex.split(words)]
        done = subprocess.run(
            command, cwd=tmp_path, env=kept, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        return Made(done, record)

    return run


@pytest.mark.parametrize("words", STARTS)
def test_what_is_typed_reaches_the_program(make: Make, words: str) -> None:
    made = make(words)
    assert made.code == 0, made.said
    assert STARTS[words] in made.started


def test_what_fails_after_the_playbook_says_why(make: Make, tmp_path: Path) -> None:
    assert make("up").code == 0
    (tmp_path / ".venv/bin/ansible").write_text("#!/bin/sh\necho 'slipway | FAILED >> no such table'\nexit 2\n")
    made = make("up")
    assert made.code != 0
    assert "users could not be loaded: slipway | FAILED >> no such table" in made.said


@pytest.mark.parametrize(
    ("words", "started"),
    [
        ("contracts K=test_source", "python -m pytest --quiet -k test_source"),
        ("unit K=test_origins", "pg_virtualenv -t sh -c"),
        ("provision TAGS=nginx", "ansible-playbook -i inventories/local ansible/site.yml --tags=nginx"),
        ("verify K=maintenance", "python -m pytest --quiet molecule/testinfra --hosts=all -k maintenance"),
        ("deploy UNCOMMITTED=yes", "ansible-playbook -i inventories/local ansible/deploy.yml -e"),
        ("molecule SCENARIO=default STEP=create", "molecule create --scenario-name default"),
        ("molecule SCENARIO=default STEP=converge", "molecule converge --scenario-name default"),
        ("molecule SCENARIO=default STEP=verify K=nginx", "SLIPWAY_ONLY=nginx molecule verify --scenario-name"),
        ("molecule SCENARIO=default STEP=destroy", "molecule destroy --scenario-name default"),
    ],
)
def test_what_is_typed_for_one_thing_runs(make: Make, words: str, started: str) -> None:
    assert f"make {words}" in " ".join((ROOT / "CONTRIBUTING.md").read_text().split())
    assert make(words).started[-1].startswith(started)


def read_help() -> dict[str, set[str]]:
    """The options of each target, as the Makefile's `##` lines have them."""
    options: dict[str, set[str]] = {}
    shared: set[str] = set()
    target = ""
    for line in MAKEFILE.splitlines():
        if line.startswith("##@"):
            target, shared = "", set()
        elif found := re.match(r"## ([a-z]+):", line):
            target = found[1]
            options[target] = set(shared)
        elif line.startswith("##   "):
            (options[target] if target else shared).update(re.findall(r"([A-Z]+)=", re.split("  +", line[5:])[0]))
    return options


def test_every_option_of_every_target_does_something() -> None:
    shown: dict[str, set[str]] = {}
    for words in STARTS:
        target, *typed = shlex.split(words)
        shown.setdefault(target, set()).update(word.partition("=")[0] for word in typed)
    assert {target: taken for target, taken in read_help().items() if taken} == {
        target: taken for target, taken in shown.items() if taken
    }


@pytest.mark.parametrize(
    ("words", "sentences"),
    [
        ("deploy EVN=production REFF=v1", ["take EVN. Did you mean ENV?", "take REFF. Did you mean REF?"]),
        ("deploy env=production", ["make deploy does not take env. Did you mean ENV?"]),
        ("rollback REF=v1", ["make rollback does not take REF.", "make rollback takes", "RELEASE=NAME"]),
        ("status REF=x", ["make status does not take REF.", "DRIFT=yes"]),
        ("provision status REF=x", ["make provision status does not take REF.", "DRIFT=yes", "TAGS=nginx"]),
        ("init BROCKER=", ["make init does not take BROCKER. Did you mean BROKER?"]),
        ("up ENV=production", ["make up does not take ENV.", "make up takes no variable."]),
        ("ENV=production", ["make help does not take ENV."]),
        ("depoly ENV=production", ["There is no make depoly. Did you mean deploy?"]),
        ("deploy depoly ENV=production", ["There is no make depoly. Did you mean deploy?"]),
        ("unlock YES=true", ['YES is "true": write YES=yes, or leave it out.']),
        ("deploy BREAKING=1", ['BREAKING is "1": write BREAKING=yes, or leave it out.']),
        ("deploy BIN=/tmp", ["make deploy does not take BIN."]),
        ("provision TAGS=base,ngnix", ["TAGS has ngnix, which is no role or part of one: write TAGS=nginx"]),
        ("deploy ENV=produktion", ["ENV is produktion, but there is no inventories/produktion/hosts.yml"]),
        ("maintenance STATE=maybe", ['STATE is "maybe": write STATE=on or STATE=off']),
        ("contracts JOBS=many", ['JOBS is "many": write how many may run at once, as in JOBS=4']),
        ("contracts JOBS=0", ['JOBS is "0"']),
    ],
)
def test_what_means_nothing_is_refused_before_anything_runs(make: Make, words: str, sentences: list[str]) -> None:
    made = make(words)
    assert made.code == 2
    assert [sentence for sentence in sentences if sentence not in made.said] == []
    assert made.started == []


def test_several_targets_share_what_is_typed(make: Make) -> None:
    made = make("provision deploy status ENV=production REF=v1 YES=yes")
    assert [line.split()[3] for line in made.started if line.startswith("ansible-playbook")] == [
        "ansible/site.yml",
        "ansible/deploy.yml",
        "ansible/status.yml",
    ]


def test_a_make_above_does_not_hide_what_is_typed(make: Make) -> None:
    """A team's own Makefile may call this one."""
    made = make("deploy", MAKELEVEL="1", MAKEFLAGS="-- EVN=production")
    assert (made.code, made.started) == (2, [])


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("provision ENV=production", "site.yml Provision production "),
        ('deploy ENV=production REF="it\'s" LIMIT=web1', "deploy.yml Deploy it's to production web1"),
        ("deploy ENV=production", "deploy.yml Deploy the ref of the inventory or the latest commit to production "),
        ("rollback ENV=production", "rollback.yml Roll production back to the last good release "),
        ("maintenance ENV=production STATE=off", "maintenance.yml Turn maintenance of production off "),
        ("provision", None),
        ("deploy ENV=vagrant", None),
        ("deploy ENV=production YES=yes", None),
        ("status ENV=production", None),
        ("plan ENV=production", None),
    ],
)
def test_a_change_of_a_remote_environment_is_asked_about(make: Make, words: str, asked: str | None) -> None:
    started = make(words).started
    wanted = [] if asked is None else [f"python tools/confirm.py inventories/production ansible/{asked}"]
    assert [line for line in started if "confirm.py" in line] == wanted


def test_help_names_every_target(make: Make) -> None:
    shown = make("help").said
    assert re.findall(r"^  make ([a-z]+)", shown, re.MULTILINE) == [*read_help()]
    targets = re.findall(r"^([a-z]+):(?!=)", MAKEFILE, re.MULTILINE)
    assert {*targets} == {*read_help()}
    assert re.findall(r"^\S+", shown, re.MULTILINE) == ["Start", "Operate:", "Operate:", "Develop"]


@pytest.mark.parametrize("url", ["postgres://u:pa$word@h/db", "postgres://u:it's@h/db", 'postgres://u:a`b(c)"#@h/db'])
def test_a_value_is_handed_over_as_it_was_typed(make: Make, url: str) -> None:
    made = make(f"init NAME=shop {shlex.quote(f'DATABASE={url}')}", DOMAIN="of.the.environment")
    assert made.started[-1] == f"python -m init --name=shop --database={url}"
