"""What holds for every role, so that who knows one knows all."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slipway.host.plugins.module_utils.inventory.specs import broken_rule, read_process_groups
from repository import (
    ROLES,
    ROOT,
    all_options,
    defaults,
    expressions,
    load,
    options,
    task_files,
    tasks,
)
from test_secret_tasks import TRIED

STAGES = {"main", "install", "configure", "service"}
# Those of a release, in the order of roles/release/tasks/main.yml, and its ends.
STAGES |= {"source", "lock", "build", "migrate", "switch", "batch", "finish", "abort", "leave"}
# What a role has beside the usual stages: one subject each.
SUBJECTS = 3
TASK_FILE_LINES = 62
CONDITIONS = ("when", "until", "changed_when", "failed_when", "loop", "that")
TYPES = {
    "_port": {"int"},
    "_seconds": {"int"},
    "_days": {"int"},
    "_count": {"int"},
    "_mb": {"int"},
    "_per_minute": {"int"},
    "_percent": {"int"},
    "_enabled": {"bool"},
    "_path": {"str", "path"},
    "_origins": {"list"},
}
CONFIDENTIAL = r"(vault_\w+|\w*(_password|_secret|_secret_key|_token))"
HEADER = (
    re.compile(r"{{ ansible_managed \| comment(\(['\"]\w+['\"]\))? }}$"),
    re.compile(
        r".*Role {{ ansible_role_name }}\. Change it in group_vars/all/(\w+|{{ ansible_role_name }})\.yml, not here\."
    ),
)

every_role = pytest.mark.parametrize("role", ROLES)
every_spec = pytest.mark.parametrize("entries", [options(role) for role in ROLES], ids=ROLES)
every_task_file = pytest.mark.parametrize(
    ("role", "path"),
    [pytest.param(role, path, id=f"{role}/{path.stem}") for role in ROLES for path in task_files(role)],
)
every_template = pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=f"{path.relative_to(ROOT / 'roles').parts[0]}/{path.name}")
        for path in sorted(ROOT.glob("roles/*/templates/**/*.j2"))
    ],
)


@every_role
def test_what_is_optional_has_a_default_and_what_is_required_has_none(role: str) -> None:
    optional = {name for name, option in options(role).items() if not option.get("required")}
    assert set(defaults(role)) == optional


@every_spec
def test_specs_leave_values_to_the_defaults(entries: dict[str, Any]) -> None:
    assert not [name for name, option in all_options(entries) if "default" in option]


@every_spec
def test_every_option_has_a_type_and_a_meaning(entries: dict[str, Any]) -> None:
    assert not [name for name, option in all_options(entries) if not (option.get("description") and option.get("type"))]


@every_spec
def test_every_list_says_what_its_elements_are(entries: dict[str, Any]) -> None:
    assert not [name for name, option in all_options(entries) if option["type"] == "list" and "elements" not in option]


@every_spec
def test_the_end_of_a_name_and_its_type_agree(entries: dict[str, Any]) -> None:
    for name, option in all_options(entries):
        for end, types in TYPES.items():
            assert not name.endswith(end) or option["type"] in types, f"{name} is not of type {' or '.join(types)}"


@every_spec
def test_secrets_are_marked(entries: dict[str, Any]) -> None:
    assert not [
        name for name, option in all_options(entries) if re.fullmatch(CONFIDENTIAL, name) and not option.get("no_log")
    ]


@every_role
def test_names_begin_with_the_role(role: str) -> None:
    assert not [name for name in options(role) if not name.startswith(f"{role}_")]
    inner = load(ROOT / "roles" / role / "vars/main.yml")
    # Without underscores: what a play hands over to another role.
    told = (ROOT / "ansible/vars/handover.yml").read_text()
    assert not [name for name in inner if not name.startswith(f"__{role}_") and f"{{{{ {name} }}}}" not in told]


@every_role
def test_written_out_defaults_pass_the_check_of_the_inventory(role: str) -> None:
    for name, value in defaults(role).items():
        if value is not None and "{{" not in str(value):
            assert broken_rule(name, options(role)[name], value) is None, f"{name}: {value}"


@every_role
def test_the_readme_answers_the_same_questions(role: str) -> None:
    text = (ROOT / "roles" / role / "README.md").read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[:3] == ["Outcome", "Example", "Idempotence and roll-back"]


def verbs(role: str) -> set[str]:
    """The task files that playbooks call by name, with `tasks_from`."""
    found = set()
    for path in ROOT.glob("ansible/*.yml"):
        for play in load(path):
            for part in ("pre_tasks", "tasks", "post_tasks"):
                for task, _ in tasks(play.get(part)):
                    call = task.get("ansible.builtin.import_role") or task.get("ansible.builtin.include_role") or {}
                    found |= {call["tasks_from"]} if call.get("name") == role and "tasks_from" in call else set()
    return found


def imported(role: str, path: Path) -> set[str]:
    """The task files that this one imports, with those of them that they import."""
    text = path.read_text()
    names = set(re.findall(r"(?:import|include)_tasks:\s+(?:file:\s+)?(\w+)\.yml", text))
    for choice in re.findall(r'include_tasks:\s+(?:file:\s+)?"{{ (\w+) }}\.yml"', text):
        names |= set(options(role)[choice]["choices"])
    return names.union(*(imported(role, path.with_name(f"{name}.yml")) for name in names))


@every_role
def test_every_task_file_is_a_stage_or_a_subject_of_main_or_a_verb(role: str) -> None:
    folder = ROOT / "roles" / role / "tasks"
    names = {path.stem for path in task_files(role)}
    reached = set(verbs(role))
    for name in [*verbs(role), *({"main"} & names)]:
        reached |= {name, *imported(role, folder / f"{name}.yml")}
    assert names == reached, "a task file that nothing imports, or an import of no task file"
    subjects = names - STAGES - verbs(role)
    assert len(subjects) <= SUBJECTS, f"more than {SUBJECTS} subject files: {sorted(subjects)}"


@every_role
def test_main_only_imports_and_tags_what_it_imports(role: str) -> None:
    parts = {"ansible.builtin.import_tasks", "ansible.builtin.include_tasks", "block"}
    for entry in load(ROOT / "roles" / role / "tasks/main.yml"):
        assert entry.get("tags"), f"{entry['name']} has no tags"
        assert not [task for task, _ in tasks([entry]) if not parts & set(task)]


def conditions(path: Path) -> Iterator[str]:
    """What Ansible reads as an expression although it stands in no braces."""
    for task, _ in tasks(load(path)):
        parts = [task, *(value for value in task.values() if isinstance(value, dict))]
        yield from (str(part[key]) for part in parts for key in CONDITIONS if key in part)


def words(role: str) -> set[str]:
    """The words in the expressions of a role, each of which may be a variable."""
    files = [path for path in (ROOT / "roles" / role).rglob("*") if path.suffix in (".j2", ".yml")]
    read = [expressions(path.read_text()) for path in files if path.parent.name != "meta"]
    read += [condition for path in task_files(role) for condition in conditions(path)]
    return set(re.findall(r"\w+", " ".join(read)))


@every_role
def test_a_role_reads_no_other_role_s_variables(role: str) -> None:
    """What one role tells another, the plays hand over: ansible/vars/handover.yml."""
    others = "|".join(name for name in ROLES if name not in (role, "project"))
    assert not [word for word in words(role) if re.match(rf"_*({others})_", word)]


@every_role
def test_a_role_that_reads_the_project_s_defaults_depends_on_them(role: str) -> None:
    meta = load(ROOT / "roles" / role / "meta/main.yml")
    reads = words(role) & set(defaults("project")) if role != "project" else set()
    assert meta["dependencies"] == (["project"] if reads else []), reads


def test_every_kind_of_process_has_a_unit_and_a_group() -> None:
    # Timers run on one host of all groups.
    kinds = [*read_process_groups(ROOT), "timer"]
    processes = options("application")["application_processes"]["options"]
    assert kinds == processes["kind"]["choices"] == options("application")["application_process_kinds"]["choices"]
    units = {path.name for path in (ROOT / "roles/application/templates").iterdir()}
    assert {f"{kind}.service.j2" for kind in kinds} <= units


@every_role
def test_a_role_knows_no_groups_and_no_other_host(role: str) -> None:
    assert not words(role) & {"groups", "group_names", "hostvars"}


@every_task_file
def test_a_task_file_fits_on_a_page(role: str, path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) <= TASK_FILE_LINES


@every_task_file
def test_tasks_are_named_after_their_file(role: str, path: Path) -> None:
    prefix = "" if path.stem == "main" else rf"{path.stem} \| "
    for task, _ in tasks(load(path)):
        assert re.fullmatch(rf"{prefix}[A-Z].*[^.]", task.get("name", "")), f"{path}: {task.get('name', task)}"


def secrets(role: str) -> str:
    """A pattern of every name in a role that stands for a secret, also through another variable."""
    names = {name for name, option in options(role).items() if option.get("no_log")}
    for task, hidden in (found for path in task_files(role) for found in tasks(load(path))):
        names |= set(task.get("ansible.builtin.set_fact", {}) if hidden else ())
    inner = {**defaults(role), **load(ROOT / "roles" / role / "vars/main.yml")}
    known = None
    while known != names:
        known, pattern = set(names), rf"\b({'|'.join([CONFIDENTIAL, *sorted(names)])})\b"
        # The hash of a secret gives nothing away.
        names |= {
            name for name, text in inner.items() if re.search(pattern, expressions(str(text).split("| hash(")[0]))
        }
    return pattern


def what_it_reads(role: str, task: dict[str, Any]) -> str:
    """The expressions of a task, and of the templates that it renders."""
    own = {key: value for key, value in task.items() if key not in ("block", "rescue", "always", "name")}
    text = yaml.safe_dump(own, width=1000)
    bare = " ".join(str(own.get(key, "")) for key in ("when", "until", "changed_when", "failed_when", "loop"))
    templates = [
        path.read_text()
        for path in (ROOT / "roles" / role / "templates").rglob("*.j2")
        if path.name in text or (".j2" in text and path.stem in str(own.get("loop", "")))
    ]
    return " ".join([bare, *map(expressions, [text, *templates])])


@every_task_file
def test_tasks_that_carry_a_secret_hide_what_they_print(role: str, path: Path) -> None:
    """By no_log, which hides the reason of a failure too; or in a way that test_secret_tasks tries."""
    pattern = secrets(role)
    tried = TRIED.get(f"{role}/tasks/{path.name}", [])
    for task, hidden in tasks(load(path)):
        found = re.search(pattern, what_it_reads(role, task))
        assert hidden or not found or task["name"] in tried, f"{task['name']} uses {found and found[0]} without no_log"


@every_template
def test_a_template_says_who_wrote_the_file_and_where_to_change_it(path: Path) -> None:
    if path.name.endswith(".json.j2"):  # JSON has no comments.
        return
    templates = next(folder for folder in path.parents if folder.name == "templates")
    part = rf"{{% (include|from) '{path.relative_to(templates)}'"
    if any(re.search(part, other.read_text()) for other in templates.rglob("*.j2")):
        return  # A part of another template, which carries the header.
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#!")]
    for pattern, line in zip(HEADER, lines, strict=False):
        assert pattern.match(line), f"{line!r} is not the header"


def test_roles_support_what_the_role_base_admits() -> None:
    verb = (ROOT / "roles/base/tasks/supported.yml").read_text()
    found = re.search(r"distribution_release'\] in \[(.*?)\]", verb)
    assert found
    admitted = set(re.findall(r"'(\w+)'", found[1]))
    for path in ROOT.glob("roles/*/meta/main.yml"):
        platforms = yaml.safe_load(path.read_text())["galaxy_info"]["platforms"]
        assert {version for platform in platforms for version in platform["versions"]} == admitted, path
