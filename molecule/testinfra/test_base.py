import json

import pytest
from testinfra.host import Host

SPARED = (
    *("slipway-web@blue", "slipway-worker@green", "slipway-beat@blue", "postgresql@17-main", "rabbitmq-server"),
    *("run-u12", "run-p8462-i1645716"),
)


def test_the_host_runs_without_a_failed_unit(host: Host) -> None:
    assert host.run("systemctl list-units --failed --plain --no-legend").stdout == ""


def test_no_package_is_half_installed(host: Host) -> None:
    assert host.run("dpkg --audit").stdout == ""


def test_the_time_zone_is_utc(host: Host) -> None:
    assert host.check_output("readlink --canonicalize /etc/localtime") == "/usr/share/zoneinfo/Etc/UTC"
    assert host.check_output("date +%Z") == "UTC"


def test_the_clock_is_kept_in_time(host: Host) -> None:
    """By either of two programs: Ubuntu has chrony since 25.10."""
    assert "enabled" in host.run("systemctl is-enabled systemd-timesyncd chrony").stdout.splitlines()


@pytest.mark.units("systemd-journald")
def test_the_journal_survives_a_reboot(host: Host) -> None:
    identifier = host.check_output("cat /etc/machine-id")
    assert host.file(f"/var/log/journal/{identifier}/system.journal").exists
    assert "Storage=persistent" in host.check_output("systemd-analyze cat-config systemd/journald.conf")


def test_the_journal_cannot_fill_the_disk(host: Host) -> None:
    assert "SystemMaxUse=500M" in host.check_output("systemd-analyze cat-config systemd/journald.conf").splitlines()


@pytest.mark.parametrize(
    "line",
    [
        'APT::Periodic::Update-Package-Lists "1";',
        'APT::Periodic::Unattended-Upgrade "1";',
        'Unattended-Upgrade::Automatic-Reboot "false";',
        'DPkg::Options:: "--force-confold";',
    ],
)
def test_apt_upgrades_by_itself_and_asks_nobody(host: Host, line: str) -> None:
    """The effective value counts: another file could have the last word."""
    key = line.split()[0].rstrip(":")
    assert line in host.check_output("apt-config dump %s", key).splitlines()


@pytest.mark.parametrize("timer", ["apt-daily.timer", "apt-daily-upgrade.timer"])
def test_the_timer_of_upgrades_runs(host: Host, timer: str) -> None:
    assert host.service(timer).is_enabled
    assert host.service(timer).is_running


@pytest.fixture(scope="module")
def needrestart(host: Host) -> dict[str, int]:
    """What needrestart would restart without asking: {unit: 1 or 0}, as its own program decides."""
    units = f"{' '.join(SPARED)} ssh nginx cron"
    program = r"""
        our %nrconf = (override_rc => {});
        do "/etc/needrestart/conf.d/slipway.conf" // die $@ || $!;
        for my $unit (@ARGV) {
            my @rules = grep { "$unit.service" =~ /$_/ } keys %{$nrconf{override_rc}};
            print "$unit ", (grep { !$nrconf{override_rc}{$_} } @rules) ? 0 : 1, "\n";
        }
    """
    lines = host.check_output(f"perl -e %s {units}", program).splitlines()
    return {unit: json.loads(value) for unit, value in map(str.split, lines)}


@pytest.mark.parametrize("unit", SPARED)
def test_an_upgrade_does_not_restart_the_application_or_what_it_needs(needrestart: dict[str, int], unit: str) -> None:
    assert needrestart[unit] == 0


def test_an_upgrade_counts_without_a_hand(host: Host) -> None:
    assert host.package("needrestart").is_installed
    assert "$nrconf{restart} = 'a';" in host.file("/etc/needrestart/conf.d/slipway.conf").content_string


@pytest.mark.parametrize("unit", ["ssh", "nginx", "cron"])
def test_an_upgrade_restarts_everything_else(needrestart: dict[str, int], unit: str) -> None:
    assert needrestart[unit] == 1


@pytest.fixture(scope="module")
def kernel(host: Host) -> dict[str, tuple[str, str]]:
    """Each setting of the kernel that a file names, as {name: (what the last file says, what counts)}.

    A container cannot set what is its host's: what is read-only counts as it is written.
    """
    lines = host.check_output("/lib/systemd/systemd-sysctl --cat-config").splitlines()
    pairs = [line.lstrip("-").split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    wanted = {name.strip(): value.strip() for name, value in pairs}
    program = 'for path; do [ -w "$path" ] && echo "$path $(cat "$path")"; done; true'
    paths = " ".join(f"/proc/sys/{name.replace('.', '/')}" for name in wanted if "*" not in name)
    said = host.check_output(f"sh -c %s sh {paths}", program).splitlines()
    live = {path.removeprefix("/proc/sys/").replace("/", "."): value for path, value in map(str.split, said)}
    return {name: (value, live.get(name, value)) for name, value in wanted.items()}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("dev.tty.ldisc_autoload", "0"),
        ("fs.protected_fifos", "2"),
        ("fs.protected_hardlinks", "1"),
        ("fs.protected_regular", "2"),
        ("fs.protected_symlinks", "1"),
        ("fs.suid_dumpable", "0"),
        ("kernel.dmesg_restrict", "1"),
        ("kernel.kptr_restrict", "2"),
        ("kernel.unprivileged_bpf_disabled", "1"),
        ("kernel.yama.ptrace_scope", "1"),
        ("net.ipv4.conf.all.accept_redirects", "0"),
        ("net.ipv4.conf.default.log_martians", "1"),
        ("net.ipv4.conf.all.rp_filter", "1"),
        ("net.ipv4.conf.all.send_redirects", "0"),
        ("net.ipv4.tcp_syncookies", "1"),
        ("net.ipv6.conf.default.accept_source_route", "0"),
    ],
)
def test_the_kernel_is_hardened(kernel: dict[str, tuple[str, str]], setting: str, value: str) -> None:
    assert kernel[setting] == (value, value)


@pytest.mark.parametrize("version", ["ipv4", "ipv6"])
def test_an_interface_takes_no_redirect(host: Host, version: str) -> None:
    """Either of `all` and its own would let it, and IPv6 asks its own alone."""
    assert host.check_output(f"cat /proc/sys/net/{version}/conf/*/accept_redirects | sort --unique") == "0"


def test_no_file_is_open_for_everybody_to_write(host: Host) -> None:
    assert host.check_output("find / -xdev -type f -perm -o=w") == ""


def test_nothing_runs_from_shared_memory(host: Host) -> None:
    try:
        assert host.run("cp /bin/true /dev/shm/probe && /dev/shm/probe").rc == 126
    finally:
        host.run("rm -f /dev/shm/probe")


@pytest.mark.parametrize("module", ["dccp", "tipc", "usb-storage"])
def test_what_a_server_does_not_need_stays_out_of_the_kernel(host: Host, module: str) -> None:
    assert f"install {module} /bin/false" in host.file("/etc/modprobe.d/slipway.conf").content_string.splitlines()


def test_homes_are_closed_to_others(host: Host) -> None:
    assert host.check_output("find /home -mindepth 1 -maxdepth 1 -type d -perm /007") == ""


def test_a_prompt_that_nobody_answers_ends(host: Host) -> None:
    assert host.check_output("bash --login -c 'echo $TMOUT; (TMOUT=0) 2>&1 | grep -c readonly'").split() == ["900", "1"]
