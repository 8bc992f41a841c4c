"""Every message of the code that says why something cannot go on, each as its written-out parts."""

import ast
import re
from collections.abc import Iterator

from repository import ROOT, load, tasks, tracked

# Whatever they are given is a message, however short.
REFUSALS = ("UserError", "Refused", "AnsibleError", "AnsibleFilterError", "SystemExit", "exit", "fail_json", "warn")
# Other text is one where it reads as a sentence.
SENTENCE = re.compile(r"\s*[A-Z`\0].*([.:?]\s*$|: [^A-Z\s])", re.DOTALL)
PATTERN = re.compile(r"\(\?|\\[a-zA-Z.]")
# Of these programs, the sentences that refuse nothing: they say what was done, or stand in files that they write.
CONTENT = (
    "ansible/init/environment.py",
    "ansible/init/write.py",
    "ansible/plugins/doc_fragments/",
    "ansible/plugins/plugin_utils/status/",
    "tools/mutants.py",
    "tools/welcome.py",
)
DONE = re.compile(
    r"Wrote |Type yes to go on|The host, its network and its secrets are gone|\s*Name your administrators"
)


def python_messages() -> Iterator[list[str]]:
    for path in tracked():
        place = str(path.relative_to(ROOT))
        if path.suffix == ".py" and place.startswith(("ansible/", "roles/", "tools/")):
            tree = ast.parse(path.read_text())
            yield from refusals(tree)
            if not place.startswith(CONTENT):
                yield from sentences(tree)


def refusals(tree: ast.AST) -> Iterator[list[str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name(node.func) in REFUSALS:
            yield parts(node)


def name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def parts(node: ast.AST) -> list[str]:
    """What is written out in an expression."""
    return [each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def sentences(node: ast.AST) -> Iterator[list[str]]:
    """The sentences below a node that its own calls do not refuse with."""
    if is_description(node) or (isinstance(node, ast.Call) and name(node.func) in REFUSALS):
        return
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        values = node.values if isinstance(node, ast.JoinedStr) else [node]
        text = "".join(str(each.value) if isinstance(each, ast.Constant) else "\0" for each in values)
        if SENTENCE.match(text) and not PATTERN.search(text) and not DONE.match(text):
            yield text.split("\0")
        return
    for child in ast.iter_child_nodes(node):
        yield from sentences(child)


def is_description(node: ast.AST) -> bool:
    """Docstrings, DOCUMENTATION, and what describes an option."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign):
        return any(getattr(target, "id", "") == "DOCUMENTATION" for target in node.targets)
    if isinstance(node, ast.Subscript):
        return getattr(node.value, "id", "") == "Annotated"
    return isinstance(node, ast.Call) and name(node.func) == "add_argument"


def play_messages() -> Iterator[list[str]]:
    for path in ROOT.glob("roles/*/tasks/*.yml"):
        for task, _ in tasks(load(path)):
            said = (task.get("ansible.builtin.assert") or {}).get("fail_msg")
            if text := said or (task.get("ansible.builtin.fail") or {}).get("msg"):
                yield re.split(r"{{.*?}}", text, flags=re.DOTALL)


def shell_messages() -> Iterator[list[str]]:
    for path in [ROOT / "tools/install.sh", *ROOT.glob("roles/*/templates/*.sh.j2"), *ROOT.glob("roles/*/files/*.sh")]:
        for text in re.findall(r'\b(?:refuse|echo) ("[^"]+"(?: \\\n\s+"[^"]+")*)', path.read_text()):
            words = re.split(r"\$\([^)]*\)|\$\{?\w+\}?|\$\*|{{.*?}}|\" \\\n\s+\"|\"", text)
            if SENTENCE.match("\0".join(words).strip("\0")):
                yield words


def make_messages() -> Iterator[list[str]]:
    text = (ROOT / "Makefile").read_text()
    for said in re.findall(r"\$\(error (.+)", text) + re.findall(r'echo "([^"]+)" >&2', text):
        yield re.split(r"\$\([A-Z_]+\)|\$\$\w+|\)", said)


def vagrant_messages() -> Iterator[list[str]]:
    for said in re.findall(r'\b(?:abort|echo) "((?:[^"\\]|\\.)+)"', (ROOT / "Vagrantfile").read_text()):
        yield re.split(r"#{.*?}", said)


def all_messages() -> Iterator[list[str]]:
    yield from python_messages()
    yield from play_messages()
    yield from shell_messages()
    yield from make_messages()
    yield from vagrant_messages()
