"""The browser is the one that the tests on booted hosts use."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "molecule" / "testinfra"))
