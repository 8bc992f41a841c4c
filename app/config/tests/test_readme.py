"""What README.md says of the configuration is so."""

import ast
import re

from django.conf import settings

from config import env

README = (settings.BASE_DIR / "README.md").read_text()
READERS = {name for name, value in vars(env).items() if callable(value)} - {"stop"}


def readers() -> dict[str, str]:
    """The function that reads each environment variable of the configuration, by variable."""
    found: dict[str, str] = {}
    modules = [*settings.BASE_DIR.glob("config/**/*.py"), settings.BASE_DIR / "gunicorn.conf.py"]
    for module in modules:
        if "tests" in module.parts or module.name == "env.py":
            continue
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                function = ast.unparse(node.func)
                if function in READERS or function == "os.environ.get":
                    name = str(node.args[0].value)
                    # PORT is looked at before it is read.
                    if function in READERS or name not in found:
                        found[name] = function
    return found


def variables_read() -> set[str]:
    names = set(readers())
    for script in (settings.BASE_DIR / "bin").iterdir():
        names |= set(re.findall(r"\$\{([A-Z_]+)", script.read_text()))
    return names


def test_the_table_names_every_variable_and_no_other():
    table = README.partition("## Environment variables")[2]
    named = {
        name
        for row in re.findall(r"^\| (`.*?`) \|", table, re.M)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert named == variables_read()
