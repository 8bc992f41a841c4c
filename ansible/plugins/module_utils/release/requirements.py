"""What a virtual environment is made of: the list of exact versions that a requirements file of any kind stands for."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from typing import TYPE_CHECKING

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import native
from ansible_collections.slipway.host.plugins.module_utils.release.native import normal

if TYPE_CHECKING:
    from ansible_collections.slipway.host.plugins.module_utils.release.venvs import Tools

# Where the list lies in a release whose own file is not that list already.
LISTED = ".requirements.txt"
# Where files that lie above the project's folder are in a release, as the action source packs them.
ABOVE = ".requirements"
KINDS = {"uv.lock": "uv", "poetry.lock": "poetry", "pyproject.toml": "pyproject"}
# What uv says of a package that comes as source, and what compilers and their helpers say that is not there.
COMPILED = re.compile(r"Failed to (?:download and )?build `([^`]+)`")
MISSING = re.compile(
    r"fatal error: (\S+): No such file|No such file or directory: '([\w+-]+)'|(\S+): (?:command )?not found"
    r"|(\S+) executable not found|cannot find -l([\w+-]+)"
)
# The name of a package in a list, and its version, perhaps with the condition for which that is.
PINNED = re.compile(r"^([\w.-]+)(?:\[[^\]]*\])?(==[^\s;]+(?: *;[^\\\n]*?)?)(?: +--hash=.*)?\s*\\?$", re.MULTILINE)
THEN = "and run ansible/site.yml (`make provision`)"
PLAIN = ("--no-header", "--no-annotate")


def kind(path: str) -> str:
    return KINDS.get(os.path.basename(path), "list")


def path_in(folder: str, requirements_file: str) -> str:
    """Where a release has the file of requirements that its project names."""
    if requirements_file.startswith("../"):
        return os.path.join(folder, ABOVE, os.path.basename(requirements_file))
    return os.path.join(folder, requirements_file)


def read(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()


def has_hashes(path: str) -> bool:
    """Whether a list pins each package by its content: what comes from elsewhere than an index cannot."""
    text = read(path)
    return "--hash=" in text and " @ " not in text and not re.search(r"^(-e|--editable|\.|/)", text, re.MULTILINE)


def ready_list(folder: str, requirements_file: str, added: list[str]) -> str | None:
    """The list of a project's folder, where none has to be made; else None."""
    own = path_in(folder, requirements_file)
    if not added and kind(own) == "list" and os.path.isfile(own) and has_hashes(own):
        return own
    places = dict.fromkeys((folder, os.path.dirname(own)))
    return next(filter(os.path.exists, (os.path.join(place, LISTED) for place in places)), None)


def resolve(tools: Tools, folder: str, requirements_file: str, python: str, added: list[str]) -> tuple[str, list[str]]:
    """The list that a requirements file and what the inventory adds stand for, and warnings about it."""
    listed, warnings = resolve_file(tools, folder, requirements_file, python)
    if not added:
        return listed, warnings
    whole, warning = add(tools, listed, python, added)
    return whole, warnings + warning


def resolve_file(tools: Tools, folder: str, requirements_file: str, python: str) -> tuple[str, list[str]]:
    """The list that a requirements file stands for, and warnings about it."""
    if ready := ready_list(folder, requirements_file, []):
        return ready, []
    where, name = os.path.split(path_in(folder, requirements_file))
    listed = os.path.join(folder, LISTED)
    which = kind(name)
    about = (f"--python={python}",)
    words: tuple[str, ...]
    if which == "uv":
        words = ("export", "--frozen", "--no-dev", "--no-emit-project", *about, *PLAIN, f"--output-file={listed}")
        failed, output = tools.uv(*words, cwd=where)
    elif which == "poetry":
        words = ("export", "--no-interaction", "--format=requirements.txt", f"--output={listed}")
        failed, output = tools.poetry(*words, cwd=where)
    else:
        words = ("pip", "compile", *about, *PLAIN, "--emit-index-url", f"--output-file={listed}", name)
        failed, output = tools.uv(*words, cwd=where)
    if failed or not os.path.exists(listed):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(listed)
        raise UserError(f"{requirements_file} does not resolve: {reason(output)}", output.splitlines()[-20:])
    loose = unpinned(os.path.join(where, name), listed) if which in ("list", "pyproject") else []
    some = ", ".join(loose[:3]) + (", ..." if len(loose) > 3 else "")
    warning = (
        f"{requirements_file} leaves open which version of {some} is installed, so that two builds can differ: "
        "lock it (`uv lock`), or compile it (`uv pip compile`)."
    )
    return listed, [warning] if loose else []


def add(tools: Tools, listed: str, python: str, added: list[str]) -> tuple[str, list[str]]:
    """A list with more packages, which take the versions that it has and do not change them; and a warning."""
    text = read(listed)
    # The packages come from where the list says.
    places = re.findall(r"^(?:--(?:extra-)?index-url|--find-links|-[if])\b.*", text, re.MULTILINE)
    limits = [name + version.rstrip() for name, version in PINNED.findall(text)]
    with tempfile.TemporaryDirectory() as scratch:
        for name, lines in (("added.in", [*places, *added]), ("limits.txt", limits)):
            with open(os.path.join(scratch, name), "w") as file:
                file.writelines(f"{line}\n" for line in lines)
        hashes = ["--generate-hashes"] if has_hashes(listed) else []
        files = (f"--constraint={scratch}/limits.txt", f"--output-file={scratch}/added.txt", f"{scratch}/added.in")
        failed, output = tools.uv(
            "pip", "compile", f"--python={python}", *PLAIN, *hashes, *files, cwd=os.path.dirname(listed)
        )
        if failed:
            raise UserError(
                f"application_python_packages does not resolve: {reason(output)}", output.splitlines()[-20:]
            )
        found = read(f"{scratch}/added.txt")
    known = pins(listed)
    entries = [each for each in re.split(r"\n(?=\S)", found) if normal(re.split("[=@ ]", each)[0]) not in known]
    # Paths in a list are relative to it.
    whole = os.path.join(os.path.dirname(listed), LISTED)
    with open(whole, "w") as file:
        file.write("\n".join([text.rstrip("\n"), *(entry.rstrip("\n") for entry in entries), ""]))
    exact = pinned([each.split()[0] for each in entries], added)
    warning = (
        "application_python_packages leaves open which version is installed, so that two builds can differ: write "
        f"{', '.join(exact)}."
    )
    return whole, [warning] if exact else []


def pinned(entries: list[str], added: list[str]) -> list[str]:
    """Those of the added packages that have no version, with the one that they got."""
    versions = {normal(name): version for name, _, version in (each.partition("==") for each in entries)}
    loose = [re.split(r"[<>=!~; ]", each)[0] for each in added if not re.search("==|@", each)]
    return [f"{each}=={versions[name]}" for each in loose if (name := normal(each.split("[")[0])) in versions]


def pins(path: str) -> set[str]:
    """The packages that a list, or a list that it includes, names with their versions."""
    text = read(path)
    pinned = {normal(name) for name in re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*===?", text, re.MULTILINE)}
    for included in re.findall(r"^(?:-r|--requirement)[ =]*(\S+)", text, re.MULTILINE):
        with contextlib.suppress(OSError):
            pinned |= pins(os.path.join(os.path.dirname(path), included))
    return pinned


def unpinned(source: str, listed: str) -> list[str]:
    """Packages of a list whose version the source leaves open."""
    return sorted(pins(listed) - (pins(source) if kind(source) == "list" else set()))


def reason(output: str) -> str:
    """Why uv or Poetry failed; where a package had to be compiled, what was not there and where to name that."""
    if not (compiled := COMPILED.search(output)):
        return said(output)
    found = MISSING.search(output)
    name = re.split(r"[=@ ]", compiled[1])[0]
    missing = next(filter(None, found.groups())) if found else ""
    if missing.lower() == "git":
        return f"{name} is fetched with git, which the host lacks: add git to application_packages, {THEN}."
    lacks = f"lacks {missing}" if missing else f"fails: {said(output, 2).rstrip('.')}"
    packages = ", ".join(sorted({*native.to_compile(name), *native.to_find(missing)}))
    more = "" if native.is_known(name) else " and the -dev package of each library that it needs"
    where = f"{compiled[1]} has to be compiled on the host, which {lacks}"
    return f"{where}. Add {packages}{more} to application_packages, {THEN}."


def said(output: str, count: int = 12) -> str:
    """The last lines of uv or Poetry, on one line."""
    # Without the lines that uv draws.
    lines = [re.sub(r"^[^\w`]+", "", line).rstrip() for line in output.splitlines()]
    lines = [
        re.sub(r"^(error|warning): ", "", line)
        for line in lines
        if not line.startswith(("Using ", "hint: Build failures"))
    ]
    text = " ".join(list(filter(None, lines))[-count:]) or "no reason was given."
    return text if text.endswith(".") else f"{text}."
