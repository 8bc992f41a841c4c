"""The fixture of tests of projects that are not ours, for their `pytest_plugins`."""

import inventory
import pytest
from projects import CACHE, PROJECTS
from support import Site
from testinfra.host import Host


@pytest.fixture(scope="session")
def sites(host: Host) -> dict[str, Site]:
    """The site of each project by its name."""
    address = inventory.variables(host)["ansible_host"]
    authority = {name: CACHE / "inventories" / name / ".secrets/ca.crt" for name in PROJECTS}
    authority["stock"] = CACHE / "acme.pem"
    return {name: Site(address, f"{name}.test", 80, 443, authority[name]) for name in PROJECTS}
