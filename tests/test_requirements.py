"""Which exact list of packages a file of requirements stands for, and what of it is said to be open."""

import re
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import requirements, venvs
from ansible_collections.slipway.host.plugins.module_utils.release.pythons import HOST, Pythons

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
    found, warnings = requirements.resolve(tools, str(folder), name, "/opt/python", [])
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


def compiled(line: str, name: str = "shop==2.9") -> str:
    """What is said of a package whose build ended with a line."""
    return requirements.reason(
        f"Resolved 1 package in 8ms\nerror: Failed to build `{name}`\n  cause: The build backend returned an error\n"
        f"         warning of no use\n         {line}\n\nhint: Build failures usually indicate a problem\n"
    )


@pytest.mark.parametrize(
    ("line", "why", "packages"),
    [
        ("error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'", "lacks x86_64-linux-gnu-gcc", ""),
        ("./psycopg.h:36:10: fatal error: libpq-fe.h: No such file or directory", "lacks libpq-fe.h", "libpq-dev, "),
        ("/bin/sh: 1: pkg-config: not found", "lacks pkg-config", "pkg-config, "),
        ("Error: pg_config executable not found.", "lacks pg_config", "libpq-dev, "),
        ("/usr/bin/ld: cannot find -lxml2: No such file or directory", "lacks xml2", "libxml2-dev, "),
        ("Exception: Set an option by hand", "fails: warning of no use Exception: Set an option by hand", ""),
    ],
)
def test_a_package_that_has_to_be_compiled_names_what_it_needs_and_where_that_goes(
    line: str, why: str, packages: str
) -> None:
    assert compiled(line) == (
        f"shop==2.9 has to be compiled on the host, which {why}. Add build-essential, {packages}python3-dev and the "
        "-dev package of each library that it needs to application_packages, and run ansible/site.yml "
        "(`make provision`)."
    )


def test_what_is_known_of_a_package_is_said_at_once() -> None:
    said = compiled("error: [Errno 2] No such file or directory: 'gcc'", "Python_LDAP==3.4")
    assert "Add build-essential, libldap-dev, libsasl2-dev, python3-dev to application_packages" in said


def test_a_package_that_is_fetched_with_git_says_so_without_its_address() -> None:
    output = (
        "error: Failed to download and build `shop @ git+https://ada:s3cret@git.example/shop.git`\n"
        "  cause: Git operation failed\n"
        "  cause: Git executable not found. Ensure that Git is installed and available.\n"
    )
    assert requirements.reason(output) == (
        "shop is fetched with git, which the host lacks: add git to application_packages, and run ansible/site.yml "
        "(`make provision`)."
    )


class Compiler(Tools):
    """uv that resolves to what is `listed`, and keeps what it was given."""

    def uv(self, *words: str, cwd: str | None = None, **more: str) -> tuple[bool, str]:
        path = next(Path(word.partition("=")[2]) for word in words if word.startswith("--output-file="))
        limits = next((word.partition("=")[2] for word in words if word.startswith("--constraint=")), None)
        self.words = list(words)
        self.limits = Path(limits).read_text() if limits else ""
        self.wanted = (self.folder / words[-1]).read_text()
        if not self.reason:
            path.write_text(self.listed)
        return bool(self.reason), self.reason


MORE = "packaging==25.0 --hash=sha256:22\nredis[hiredis]==6 ; python_version >= '3.12' \\\n    --hash=sha256:33\n"
HASHED = "gunicorn==23.0.0 \\\n    --hash=sha256:11\npackaging==25.0 \\\n    --hash=sha256:22\n"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements/production.txt"])
def test_packages_that_the_inventory_adds_keep_the_versions_of_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"--index-url https://packages.example/simple\n{PINNED}{MORE}")
    tools = Compiler(tmp_path, listed=HASHED)
    found, warnings = requirements.resolve(tools, str(tmp_path), name, HOST, ["gunicorn[tornado]>=23"])
    assert tools.wanted == "--index-url https://packages.example/simple\ngunicorn[tornado]>=23\n"
    assert tools.limits == "django==5.2.1\npackaging==25.0\nredis==6 ; python_version >= '3.12'\n"
    assert "--generate-hashes" in tools.words
    assert Path(found).read_text() == f"{path.read_text()}gunicorn==23.0.0 \\\n    --hash=sha256:11\n"
    assert requirements.has_hashes(found)
    assert sorted(each.name for each in path.parent.iterdir()) == sorted([path.name, ".requirements.txt"])
    assert requirements.ready_list(str(tmp_path), name, ["gunicorn"]) == found
    assert warnings == [
        "application_python_packages leaves open which version is installed, so that two builds can differ: write "
        "gunicorn[tornado]==23.0.0."
    ]


def test_an_environment_with_added_packages_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(PINNED)
    before = requirements.ready_list(str(tmp_path), "requirements.txt", [])
    assert before
    assert requirements.ready_list(str(tmp_path), "requirements.txt", ["gunicorn"]) is None
    tools = Compiler(tmp_path, listed="gunicorn==23.0.0\n")
    found, warnings = requirements.resolve(tools, str(tmp_path), "requirements.txt", HOST, ["gunicorn==23.0.0"])
    environments = venvs.Venvs(str(tmp_path), "shop", Pythons(str(tmp_path), "", ""))
    assert environments.path(found, HOST) != environments.path(before, HOST)
    assert warnings == []


def test_added_packages_that_do_not_fit_are_refused_by_the_name_of_the_variable(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(PINNED)
    tools = Compiler(tmp_path, reason="error: No solution found")
    with pytest.raises(UserError, match=r"^application_python_packages does not resolve: No solution found\.$"):
        requirements.resolve(tools, str(tmp_path), "requirements.txt", HOST, ["django==1"])


@pytest.mark.parametrize(
    ("text", "hashed"),
    [(PINNED, True), ("django==5.2.1\n", False), (PINNED + "shop @ git+https://git.example/shop\n", False)],
)
def test_hashes_are_demanded_where_all_packages_can_have_them(tmp_path: Path, text: str, hashed: bool) -> None:
    (tmp_path / "list.txt").write_text(text)
    assert requirements.has_hashes(str(tmp_path / "list.txt")) is hashed
