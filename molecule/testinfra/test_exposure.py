import pytest
from support import exposure
from testinfra.host import Host


def unit(name: str, limit: float, *groups: str) -> object:
    return pytest.param(name, limit, marks=[pytest.mark.group(group) for group in groups])


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        unit("nginx.service", 3.0, "web"),
        unit("rabbitmq-server.service", 3.0, "broker"),
        unit("epmd.service", 3.0, "broker"),
        unit("postgresql@{cluster}-main.service", 3.0, "database"),
        unit("fail2ban.service", 3.0),
        unit("systemd-timesyncd.service", 3.0),
    ],
)
def test_a_unit_is_sandboxed(host: Host, name: str, limit: float) -> None:
    if "{cluster}" in name:
        name = name.format(cluster=host.check_output("ls /etc/postgresql"))
    assert exposure(host, name) <= limit
