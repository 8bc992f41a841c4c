import pytest
from support import exposure, slot
from testinfra.host import Host


def unit(name: str, limit: float, *groups: str) -> object:
    marks = [pytest.mark.group(group) for group in groups]
    return pytest.param(name, limit, marks=[*marks, *([pytest.mark.slipway] if name.startswith("slipway") else [])])


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        unit("slipway-web@{slot}.service", 1.0, "web"),
        unit("slipway-worker@{slot}.service", 1.0, "worker"),
        unit("slipway-beat@{slot}.service", 1.0, "beat"),
        unit("slipway-release@{slot}.service", 1.0, "web"),
        unit("slipway.service", 1.0, "web"),
        unit("nginx.service", 3.0, "web"),
        unit("rabbitmq-server.service", 3.0, "broker"),
        unit("epmd.service", 3.0, "broker"),
        unit("postgresql@{cluster}-main.service", 3.0, "database"),
        unit("fail2ban.service", 3.0),
    ],
)
def test_a_unit_is_sandboxed(host: Host, name: str, limit: float) -> None:
    if "{slot}" in name:
        name = name.format(slot=slot(host))
    if "{cluster}" in name:
        name = name.format(cluster=host.check_output("ls /etc/postgresql"))
    assert exposure(host, name) <= limit
