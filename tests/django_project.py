"""A small Django project, and the steps that a host lets it take."""

from __future__ import annotations

import json
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

from repository import ROOT

PYTHON = ROOT / ".cache/app/bin/python"
DRIVER = ROOT / "roles/application/files/django_release.py"
# Where `tools/install.sh` installs what the role installs on a host.
SQUAWK = ROOT / ".cache/uv/bin/squawk"
SETTINGS = """
    import json, os
    print("Settings are read.")
    SECRET_KEY = "".join(map(chr, range(40, 120)))
    ALLOWED_HOSTS = ["shop.example"]
    INSTALLED_APPS = ["goods"]
    DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
    MIDDLEWARE = ["django.middleware.security.SecurityMiddleware"]
    ROOT_URLCONF = "shop_urls"
    STATIC_URL = "static/"
    DATABASES = {"default": json.loads(os.environ["DATABASE"])}
"""
MIGRATION = """
    from django.contrib.postgres.operations import *
    from django.db import migrations, models

    class Migration(migrations.Migration):
        atomic = {atomic}
        initial = {initial}
        dependencies = {dependencies}
        operations = [{operation}]
"""
CREATE = 'migrations.CreateModel("Item", [("id", models.AutoField(primary_key=True)), ("name", models.TextField())])'
ADD = 'migrations.AddField("item", "price", models.IntegerField(null=True))'
REMOVE = 'migrations.RemoveField("item", "name")'
ONE_WAY = "migrations.RunPython(lambda apps, editor: None)"


class Refused(AssertionError):
    """What a step said that was not taken."""


class DjangoProject:
    """The project `shop`, whose one app `goods` has the migrations 0001_initial and 0002_add."""

    def __init__(self, root: Path, database: dict[str, Any] | None = None) -> None:
        self.root, self.folder = root, root / "release"
        self.database = database or {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{root}/data/db.sqlite3"}
        (root / "data").mkdir()
        self.output, self.timeout_seconds = "", 60
        manage = "import sys\nfrom django.core.management import execute_from_command_line as run\nrun(sys.argv)\n"
        self.write("manage.py", manage)
        self.write("shop_urls.py", "urlpatterns = []\n")
        self.write("goods/__init__.py", "")
        self.write("goods/models.py", "")
        self.write("goods/migrations/__init__.py", "")
        self.set("")
        self.migration("0001_initial", CREATE)
        self.migration("0002_add", ADD, after="0001_initial")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        # Two texts of one length within a second are one to Python.
        shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)

    def set(self, line: str) -> None:
        """The usual settings, and a line behind them."""
        self.write("shop_settings.py", f"{textwrap.dedent(SETTINGS)}{line}\n")

    def migration(self, name: str, operation: str, after: str | None = None, atomic: bool = True) -> None:
        dependencies = [("goods", after)] if after else []
        values = {"initial": after is None, "dependencies": dependencies, "atomic": atomic}
        text = MIGRATION.format(operation=operation, **values)
        self.write(f"goods/migrations/{name}.py", text)

    def take(self, step: str, **settings: str) -> dict[str, Any]:
        """What a step answers; an exception where it is refused. What it said beside that is in `output`."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "STEP": step,
            "DJANGO_SETTINGS_MODULE": "shop_settings",
            "DATABASE": json.dumps(self.database),
            "PROJECT_DOMAIN": "shop.example",
            "PROJECT_ROOT": str(self.root),
            "STATIC_FOLDER": "staticfiles",
            "SQUAWK": str(SQUAWK),
            **settings,
        }
        done = subprocess.run(
            [str(PYTHON), str(DRIVER)],
            cwd=self.folder,
            env=environment,
            timeout=self.timeout_seconds,
            capture_output=True,
            text=True,
            check=False,
        )
        self.output = done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        if done.returncode:
            raise Refused(answer["refused"])
        return answer
