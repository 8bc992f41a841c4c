"""What dev-sec's baselines for Linux, SSH and nginx ask of a host, as commands that succeed where it holds.

A waiver is strict: where the control holds after all, the test fails, and the waiver goes.
"""

import inventory
import pytest
from support import Site
from testinfra.host import Host

LINUX = {
    "no host is trusted": "! test -e /etc/hosts.equiv",
    "no home trusts a host": "! find /root /home -xdev -name .rhosts -o -xdev -name .netrc | grep -q .",
    "shadow is closed": "stat -c '%U %A' /etc/shadow | grep -qE '^root -rw-(r|-)-----$'",
    "passwd is root's": "stat -c '%U %G %a' /etc/passwd | grep -qx 'root root 644'",
    "group is root's": "stat -c '%U %G %a' /etc/group | grep -qx 'root root 644'",
    "no name is in passwd twice": "! cut -d: -f1 /etc/passwd | sort | uniq -d | grep -q .",
    "no user has the number of another": "! cut -d: -f3 /etc/passwd | sort | uniq -d | grep -q .",
    "no group has the number of another": "! cut -d: -f3 /etc/group | sort | uniq -d | grep -q .",
    "only root has the number 0": "awk -F: '$3 == 0 {print $1}' /etc/passwd | grep -qx root",
    "no account is without a password": "! awk -F: '$2 == \"\"' /etc/shadow | grep -q .",
    "the path has no dot": "bash --login -c 'echo $PATH' | grep -qvE '(^|:)(\\.|:|$)'",
    "programs are writable by root alone": "! find -L /bin /sbin /usr/bin /usr/sbin /usr/local/bin /usr/local/sbin"
    " -maxdepth 1 -type f -perm /022 | grep -q .",
    "no file of /etc is writable by all": "! find /etc -xdev -type f -perm -002 | grep -q .",
    "logs are not writable by all": "! find /var/log -xdev -type f -perm -002 | grep -q .",
    "the folder of logs is root's": "stat -c '%U' /var/log | grep -qx root",
    "folders for all are sticky": "! find / -xdev -type d -perm -0002 ! -perm -1000 2>/dev/null | grep -q .",
    "cron is root's": "! find /etc/cron.d /etc/cron.hourly /etc/cron.daily /etc/cron.weekly /etc/cron.monthly"
    " -maxdepth 0 -perm /077 | grep -q .",
    "shared memory is without devices, setuid and programs": "findmnt -no OPTIONS /dev/shm | grep noexec | grep nosuid"
    " | grep -q nodev",
    "old programs may not become root": "! find / -xdev -perm /6000 -type f 2>/dev/null"
    " | grep -E '/(rcp|rlogin|rsh|pppd|at|fping|traceroute6?|suexec|netreport)$' | grep -q .",
    "uncommon file systems stay out": "for name in cramfs freevxfs hfs hfsplus jffs2; do"
    ' grep -q "^install $name /bin/false" /etc/modprobe.d/*.conf || exit 1; done',
    "uncommon protocols stay out": "for name in dccp sctp rds tipc; do"
    ' grep -q "^install $name /bin/false" /etc/modprobe.d/*.conf || exit 1; done',
    "archives with drivers of desktops stay out": "grep -qE '^install (squashfs|udf|vfat) ' /etc/modprobe.d/*.conf",
    "no old server is installed": "! dpkg-query -W -f '${Package} ${Status}\\n' xinetd inetutils-inetd telnetd"
    " rsh-server nis ypserv tftpd-hpa prelink 2>/dev/null | grep -q ' installed$'",
    "packages are checked by their signatures": "! grep -rqsE"
    " 'AllowUnauthenticated +\"?(true|1|yes)' /etc/apt/apt.conf.d",
    "core dumps are off": "grep -qE '^\\* +hard +core +0$' /etc/security/limits.d/*.conf",
    "auditd runs": "systemctl is-active --quiet auditd",
    "files are unreadable to others": "grep -qE '^UMASK\\s+027' /etc/login.defs",
    "passwords expire": "grep -qE '^PASS_MAX_DAYS\\s+60$' /etc/login.defs",
}
SSHD = {
    "addressfamily": "any inet inet6",
    "allowagentforwarding": "no",
    # test_ssh.py sees that only an inventory that asks has it.
    "allowtcpforwarding": "no local",
    "banner": "none",
    "clientalivecountmax": "1 2 3",
    "clientaliveinterval": "300",
    "compression": "no",
    "gatewayports": "no",
    "hostbasedauthentication": "no",
    "ignorerhosts": "yes",
    "logingracetime": "30",
    "loglevel": "VERBOSE",
    "maxauthtries": "2",
    "maxsessions": "1 2 3 4 5 6 7 8 9 10",
    "maxstartups": "10:30:60",
    "passwordauthentication": "no",
    "permitemptypasswords": "no",
    "permitrootlogin": "no",
    "permittunnel": "no",
    "permituserenvironment": "no",
    "printlastlog": "no",
    "printmotd": "no",
    "pubkeyauthentication": "yes",
    "strictmodes": "yes",
    # OpenSSH 10.6 writes it the other way.
    "tcpkeepalive": "no false",
    "usepam": "yes",
    "x11forwarding": "no",
    "x11uselocalhost": "yes",
}
SSH = {
    "the settings are root's": "stat -c '%U %a' /etc/ssh/sshd_config | grep -qx 'root 600'",
    "keys of the host are root's": "! find /etc/ssh -name 'ssh_host_*_key' -perm /077 | grep -q .",
    "the banner names no distribution": "exec 3<>/dev/tcp/127.0.0.1/$(sshd -T | sed -n 's/^port //Ip')"
    " && head -1 <&3 | grep -vE 'Debian|Ubuntu'",
    # Some builds know neither.
    "tickets are no login": "! sshd -T | grep -ixE '(gssapi|kerberos)authentication yes'",
    **{
        f"{name} is {wanted}": f"sshd -T | tr A-Z a-z | grep -xE '{name} ({wanted.lower().replace(' ', '|')})'"
        for name, wanted in SSHD.items()
    },
}
DUMP = "nginx -T 2>/dev/null"
NGINX = {
    "workers are not root": "stat -c %U $(pidof nginx | sed 's|[0-9]*|/proc/&|g') | grep -qx www-data",
    "the settings are writable by root alone": "! find /etc/nginx -type f"
    " \\( -perm /022 -o ! -user root \\) | grep -q .",
    "no default site": f"! {DUMP} | grep -qE 'sites-enabled|conf.d/default.conf'",
    "the version is hidden": f"{DUMP} | grep -q 'server_tokens off'",
    "slow headers are cut off": f"{DUMP} | grep -qE 'client_header_timeout 1[05]'",
    "slow bodies are cut off": f"{DUMP} | grep -qE 'client_body_timeout 1[05]'",
    "slow readers are cut off": f"{DUMP} | grep -qE 'send_timeout 10'",
    "idle connections end": f"{DUMP} | grep -qE 'keepalive_timeout 5'",
    "connections of one client are limited": f"{DUMP} | grep -q 'limit_conn '",
    "requests are tiny": f"{DUMP} | grep -q 'client_max_body_size 1k'",
    "headers are tiny": f"{DUMP} | grep -q 'large_client_header_buffers 2 1k'",
    "TLS is of today": f"{DUMP} | grep ssl_protocols | sort -u | grep -qx ' *ssl_protocols TLSv1.2 TLSv1.3;'",
    "the server chooses the cipher": f"{DUMP} | grep -q 'ssl_prefer_server_ciphers on'",
    "parameters of Diffie-Hellman are ours": f"{DUMP} | grep -q ssl_dhparam",
}
HEADERS = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}
WAIVED = {
    "archives with drivers of desktops stay out": "snap needs squashfs; clouds hand over settings in udf and vfat",
    "auditd runs": "it cannot in a container, and the journal has logins and sudo",
    "files are unreadable to others": "what an administrator installs by hand must be readable for services",
    "passwords expire": "PAM would refuse a key, too, once the password that nobody has is too old",
    "maxauthtries is 2": "an agent with three keys could not log in",
    "printlastlog is no": "who logs in sees that somebody else did so before",
    "slow readers are cut off": "a browser in a train may pause for longer; nginx's 60 seconds hold one small buffer",
    "idle connections end": "each page of a front end would open new ones; nginx keeps them in a few bytes",
    "requests are tiny": "people send files to applications; nginx_body_size_mb has the limit",
    "headers are tiny": "sessions and cookies of applications need more",
    "the server chooses the cipher": "all are strong, so that a telephone may take the one that it does fastest",
    "parameters of Diffie-Hellman are ours": "no cipher of ours uses them",
}


def controls(table: dict[str, str]) -> list[object]:
    """Each control as a parameter; one that is waived must fail."""
    return [
        pytest.param(name, marks=pytest.mark.xfail(reason=WAIVED[name], strict=True)) if name in WAIVED else name
        for name in table
    ]


@pytest.fixture(scope="module")
def found(host: Host) -> dict[str, bool]:
    """Whether each control holds, asked for in one go."""
    table = LINUX | SSH | (NGINX if "web" in inventory.groups(host) else {})
    script = "\n".join(f"({command}) >/dev/null 2>&1; echo $?" for command in table.values())
    codes = host.check_output("bash -c %s", script).split()
    return dict(zip(table, (code == "0" for code in codes), strict=True))


@pytest.mark.parametrize("control", controls(LINUX))
def test_linux(found: dict[str, bool], control: str) -> None:
    assert found[control]


@pytest.mark.parametrize("control", controls(SSH))
def test_ssh(found: dict[str, bool], control: str) -> None:
    assert found[control]


@pytest.mark.group("web")
@pytest.mark.parametrize("control", controls(NGINX))
def test_nginx(found: dict[str, bool], control: str) -> None:
    assert found[control]


@pytest.mark.slipway
@pytest.mark.group("web")
@pytest.mark.parametrize("name", HEADERS)
def test_headers(site: Site, name: str) -> None:
    assert site.get("/").headers[name] == HEADERS[name]
