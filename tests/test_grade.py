"""Graders are believed as they answer, and nothing that one finds is lost on the way into the table."""

import re
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from grade import __main__ as front
from grade import application, network, page, system, web
from grade.row import COLUMNS, Row, table
from grade.waivers import FILE, waivers

TLS = [
    {"id": "overall_grade", "severity": "OK", "finding": "A+"},
    {"id": "final_score", "severity": "INFO", "finding": "96"},
]
SSH = {
    "kex": [
        {
            "algorithm": "curve25519-sha256",
            "notes": {"warn": ["does not provide protection against post-quantum attacks"]},
        }
    ]
}
LISTING = "UNIT EXPOSURE PREDICATE HAPPY\nnginx.service 9.6 UNSAFE x\nshop-web@blue.service 1.0 OK x\n"
PORTS = """<nmaprun><host><ports>
<port protocol="tcp" portid="22"><state state="open"/></port>
<port protocol="tcp" portid="25"><state state="open|filtered"/></port>
</ports></host></nmaprun>"""


def test_tls_holds_at_its_score() -> None:
    assert web.judge_tls(TLS, 96) == ("A+ 96", True)
    assert not web.judge_tls(TLS, 100)[1]


@pytest.mark.parametrize(("severity", "holds"), [("LOW", True), ("MEDIUM", False), ("CRITICAL", False)])
def test_one_finding_of_medium_or_worse_is_enough(severity: str, holds: bool) -> None:
    seen, held = web.judge_tls([*TLS, {"id": "BEAST", "severity": severity, "finding": "vulnerable"}], 96)
    assert (held, "BEAST" in seen) == (holds, not holds)


def test_tls_that_nobody_answered_does_not_hold() -> None:
    assert web.judge_tls([], 96) == ("none 0", False)


def test_a_page_holds_at_its_grade_and_score() -> None:
    answer = {"scan": {"grade": "A+", "score": 130}, "tests": {"csp": {"pass": True}, "cookies": {"pass": False}}}
    assert web.judge_page(answer, 130) == ("A+ 130; cookies", True)
    assert not web.judge_page(answer, 135)[1]
    assert web.judge_page({"error": "The site seems to be down."}, 0) == ("The site seems to be down.", False)


@pytest.mark.parametrize(("level", "holds"), [("info", True), ("warn", False), ("fail", False)])
def test_ssh_may_be_warned_of_quantum_computers_alone(level: str, holds: bool) -> None:
    assert network.judge_ssh(SSH) == ("0 fail, 0 warn, 1 without post-quantum security", True)
    weak = [{"algorithm": "hmac-sha1", "notes": {level: ["uses a broken hash"]}}]
    assert network.judge_ssh({**SSH, "mac": weak})[1] == holds


def test_only_a_port_that_answers_is_open() -> None:
    assert network.open_ports(PORTS) == {22}


def test_the_exposure_of_each_unit_is_read() -> None:
    assert system.exposures(LISTING) == {"nginx.service": 9.6, "shop-web@blue.service": 1.0}
    assert system.kind("postgresql@15-main.service") == "postgresql@.service"


def test_a_parameter_that_takes_sql_is_named() -> None:
    tried = "[INFO] testing for SQL injection on GET parameter 'id'\n"
    assert application.judge_injection(tried) == ("0 of 1 parameters", True)
    assert application.judge_injection(f"{tried}Parameter: id (GET)\n") == ("1 of 1 parameters; id (GET)", False)
    assert not application.judge_injection("[CRITICAL] unable to connect\n")[1]


def test_each_suggestion_of_lynis_has_a_name_of_its_own() -> None:
    lines = ("suggestion[]=SSH-7408|Harden|Port (set 22)|-|", "suggestion[]=A-1|Do it|-|-|", "warning[]=B-2|Look||-|")
    assert system.suggestions("\n".join(lines)) == {"SSH-7408 Port": "Harden", "A-1": "Do it", "B-2": "Look"}


def test_hosts_of_others_are_not_attacked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "machines.yml").touch()
    assert set(front.chosen("", tmp_path)) >= {"nmap", "schemathesis"}
    (tmp_path / "machines.yml").unlink()
    assert not set(front.chosen("s", tmp_path)) & set(front.ATTACKS)
    assert "has no hosts of this machine: schemathesis" in capsys.readouterr().err
    with pytest.raises(UserError, match="are attacked by nmap: leave ENV out"):
        front.chosen("nmap", tmp_path)


def test_a_grader_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="K is nessus, which no grader has in its name: write one of testssl, "):
        front.chosen("nessus", tmp_path)


def test_each_waiver_has_a_reason() -> None:
    graders = re.findall(r"^\[(\w+)\]$", FILE.read_text(), re.MULTILINE)
    assert graders
    for grader in graders:
        assert [name for name, reason in waivers(grader).items() if not re.match(r"\w.{20,}\.$", reason)] == []


def test_a_table_keeps_its_columns() -> None:
    shown = table([Row("a", "1", "b|c", "two\nlines", "<d>", holds=False)])
    assert shown.splitlines()[2].split(" | ")[-1] == "**no** |"
    assert {len(re.split(r"(?<!\\)\|", line)) for line in shown.splitlines()} == {len(COLUMNS) + 2}


def test_the_page_is_written_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "security.md")
    page.PAGE.write_text(f"before\n{page.BEGIN}earlier\n{page.END}after\n")
    page.save([Row("a", "1", "b", "c", "d", holds=True)], [])
    written = page.PAGE.read_text()
    assert written.startswith(f"before\n{page.BEGIN}Seen on ")
    assert written.endswith(f"{page.END}after\n")
    assert "earlier" not in written


def test_the_page_shows_a_run() -> None:
    shown = page.PAGE.read_text().partition(page.BEGIN)[2].partition(page.END)[0]
    assert re.match(r"Seen on \d{4}-\d\d-\d\d \(\w+: \w+ [\d.]+\)\.\n\n\| ", shown)
    header, _, *rows = [re.split(r" +\| *", line.removeprefix("| ")) for line in shown.splitlines()[2:]]
    assert tuple(header[:-1]) == COLUMNS
    assert {row[5] for row in rows} <= {"yes", "**no**"}
    graders = {row[0] for row in rows}
    assert graders >= {"testssl.sh", "HTTP Observatory", "ssh-audit", "nmap", "lynis", "OpenSCAP", "systemd-analyze"}
