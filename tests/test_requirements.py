"""Which exact list of packages a file of requirements stands for, and what of it is said to be open."""

import re
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import requirements, venvs

PINNED = "django==5.2.1 \\\n    --hash=sha256:00\n"


class Tools(venvs.Tools):
    """Programs that write `listed`, or fail and give a reason."""

    def __init__(self, folder: Path, listed: str = "", reason: str = "") -> None:
        self.folder, self.listed, self.reason = folder, listed, reason
        self.words: list[str] = []

    def uv(self, *words: str, cwd: str | None = None, **more: str) -> tuple[bool, str]:
        return self.run("uv", *words)

    def poetry(self, *words: str, cwd: str) -> tuple[bool, str]:
        return self.run("poetry", *words)

    def run(self, *words: str) -> tuple[bool, str]:
        self.words = [word for word in words if "=" not in word]
        if not self.reason:
            (self.folder / requirements.LISTED).write_text(self.listed)
        return bool(self.reason), self.reason


def resolve(folder: Path, name: str, text: str = "", **options: str) -> tuple[list[str], str, list[str]]:
    path = folder / re.sub(r"^(\.\./)+", ".requirements/", name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    tools = Tools(folder, **options)
    found, warnings = requirements.resolve(tools, str(folder), name, "/opt/python")
    return tools.words, found, warnings


@pytest.mark.parametrize(
    ("name", "place"),
    [("requirements.txt", "requirements.txt"), ("../../requirements.txt", ".requirements/requirements.txt")],
)
def test_a_compiled_list_is_taken_as_it_is(tmp_path: Path, name: str, place: str) -> None:
    words, found, warnings = resolve(tmp_path, name, PINNED)
    assert (words, found, warnings) == ([], str(tmp_path / place), [])


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("uv.lock", ["uv", "export", "--frozen", "--no-dev", "--no-emit-project"]),
        ("poetry.lock", ["poetry", "export"]),
        ("pyproject.toml", ["uv", "pip", "compile"]),
        ("requirements/production.txt", ["uv", "pip", "compile"]),
    ],
)
def test_each_kind_of_file_becomes_a_list(tmp_path: Path, name: str, begins: list[str]) -> None:
    words, found, _ = resolve(tmp_path, name, "django\n", listed=PINNED)
    assert words[: len(begins)] == begins
    assert found == str(tmp_path / ".requirements.txt")


@pytest.mark.parametrize(
    ("name", "text", "open_ones"),
    [
        ("requirements.txt", "Django>=5\n", "asgiref, django is"),
        ("requirements.txt", "Django==5.2.1\n", "asgiref is"),
        ("requirements.txt", "Django==5.2.1\nasgiref==3.9\n", None),
        ("requirements.txt", "-r base.txt\nasgiref==3.9\n", None),
        ("pyproject.toml", 'dependencies = ["django==5.2.1"]', "asgiref, django is"),
        ("uv.lock", "", None),
    ],
)
def test_versions_that_are_left_open_are_named(tmp_path: Path, name: str, text: str, open_ones: str | None) -> None:
    (tmp_path / "base.txt").write_text("Django==5.2.1\n")
    *_, warnings = resolve(tmp_path, name, text, listed="asgiref==3.9\ndjango==5.2.1\n")
    assert bool(warnings) == bool(open_ones)
    assert not open_ones or f"leaves open which version of {open_ones}" in warnings[0]


@pytest.mark.parametrize("name", ["requirements.txt", "../requirements.txt"])
def test_what_does_not_resolve_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    output = (
        "Using CPython 3.11.2\n  \u00d7 No solution found when resolving dependencies:\n"
        "  ╰─▶ Because only django<=6 is available and you require django>=9,\n"
        "      we can conclude it is impossible.\n"
    )
    with pytest.raises(UserError) as refused:
        resolve(tmp_path, name, "django>=9\n", reason=output)
    assert str(refused.value) == (
        f"{name} does not resolve: No solution found when resolving dependencies: Because only django<=6 is "
        "available and you require django>=9, we can conclude it is impossible."
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'", "lacks x86_64-linux-gnu-gcc"),
        ("./psycopg.h:36:10: fatal error: libpq-fe.h: No such file or directory", "lacks libpq-fe.h"),
        ("/bin/sh: 1: pkg-config: not found", "lacks pkg-config"),
        ("Error: pg_config executable not found.", "lacks pg_config"),
        ("/usr/bin/ld: cannot find -lxml2: No such file or directory", "lacks xml2"),
        ("Exception: Set an option by hand", "fails: warning of no use Exception: Set an option by hand"),
    ],
)
def test_a_package_that_has_to_be_compiled_names_where_its_needs_go(line: str, why: str) -> None:
    output = (
        "Resolved 1 package in 8ms\nerror: Failed to build `shop==2.9`\n  cause: The build backend returned an error\n"
        f"         warning of no use\n         {line}\n\nhint: Build failures usually indicate a problem\n"
    )
    said = requirements.reason(output)
    assert said.startswith(f"shop==2.9 has to be compiled on the host, which {why}. Add the Debian packages")
    assert "to application_packages, such as build-essential, python3-dev" in said


@pytest.mark.parametrize(
    ("text", "hashed"),
    [(PINNED, True), ("django==5.2.1\n", False), (PINNED + "shop @ git+https://git.example/shop\n", False)],
)
def test_hashes_are_demanded_where_all_packages_can_have_them(tmp_path: Path, text: str, hashed: bool) -> None:
    (tmp_path / "list.txt").write_text(text)
    assert requirements.has_hashes(str(tmp_path / "list.txt")) is hashed
