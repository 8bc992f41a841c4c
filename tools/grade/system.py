"""What is said on the host itself: lynis, OpenSCAP and systemd of how it is set up."""

from __future__ import annotations

import re
from collections.abc import Iterator

from grade import image
from grade.row import Row
from grade.target import Target
from grade.waivers import waivers

LEAST_LYNIS = 80
CONTENT = "usr/share/xml/scap/ssg/content"
# The strictest that the content of a distribution has, and whom it is by.
PROFILES = ("cis_level1_server", "anssi_bp28_intermediary")
# systemd's own figure, from 0 (shut) to 10 (open): what runs the project, and what else listens.
PROJECT_LIMIT, LISTENER_LIMIT = 1.0, 3.0
# What speaks with strangers, or for them, whether it listens for the network or not.
SPEAKERS = re.compile(r"(nginx|fail2ban|rabbitmq-server|epmd|postgresql@.+|redis-server)\.service")
# The unit of each process that listens for the network.
LISTENERS = (
    r"for pid in $(ss -Hlntup | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u); do"
    r" grep -o '[^/]*\.service' /proc/$pid/cgroup | head -1; done | sort -u"
)


def exposure(target: Target) -> Iterator[Row]:
    waived = waivers("systemd")
    version = target.run("systemctl --version").split()[1]
    listing = exposures(target.run("systemd-analyze security --no-pager"))
    name = re.escape(target.variables["project_name"])
    project = re.compile(rf"{name}(-(web|worker|beat|release)@.*)?\.service")
    listeners = {*target.run(LISTENERS).split(), *filter(SPEAKERS.fullmatch, listing)}
    limits = dict.fromkeys(listeners & set(listing), LISTENER_LIMIT)
    limits |= {unit: PROJECT_LIMIT for unit in listing if project.fullmatch(unit)}
    for unit, limit in sorted(limits.items()):
        reason = waived.get(kind(unit)) if listing[unit] > limit else None
        seen = f"{listing[unit]}, waived: {reason}" if reason else f"{listing[unit]}"
        holds = listing[unit] <= limit or reason is not None
        yield Row("systemd-analyze", version, f"{target.name}: {unit}", f"at most {limit}", seen, holds)


def kind(unit: str) -> str:
    """A unit's name without the instance: postgresql@.service of postgresql@15-main.service."""
    return re.sub("@[^.]*", "@", unit)


def exposures(listing: str) -> dict[str, float]:
    """The figure of each unit, from `systemd-analyze security`."""
    lines = [line.split() for line in listing.splitlines()]
    return {words[0]: float(words[1]) for words in lines if len(words) > 2 and words[0].endswith(".service")}


def lynis(target: Target) -> Iterator[Row]:
    with target.carrying("usr/share/lynis", "etc/lynis", "usr/sbin/lynis") as folder:
        options = f"--quick --no-colors --profile {folder}/etc/lynis/default.prf --plugindir {folder}/etc/lynis/plugins"
        files = f"--logfile {folder}/log --report-file {folder}/report"
        target.run(f"cd {folder}/usr/share/lynis && sh {folder}/usr/sbin/lynis audit system {options} {files}")
        report = target.run(f"cat {folder}/report")
    index = int(dict(re.findall(r"^(hardening_index)=(\d+)$", report, re.M)).get("hardening_index", 0))
    found = suggestions(report)
    waived = waivers("lynis")
    open_ = {name: text for name, text in found.items() if name not in waived and name.split()[0] not in waived}
    seen = "; ".join(
        [f"{index}, {len(found) - len(open_)} answered", *(f"{test}: {text}" for test, text in open_.items())]
    )
    wanted = f"{LEAST_LYNIS}, each suggestion answered"
    yield Row("lynis", image.version("lynis"), target.name, wanted, seen, index >= LEAST_LYNIS and not open_)


def suggestions(report: str) -> dict[str, str]:
    """What lynis would change: its test, with the first word of the details where it has some, and what to do.

    A line of the report: suggestion[]=TEST|what to do|details|solution|
    """
    lines = re.findall(r"^(?:suggestion|warning)\[\]=([^|]*)\|([^|]*)\|([^|]*)", report, re.M)
    return {f"{test} {details.partition(' ')[0].strip('-')}".strip(): text for test, text, details in lines}


def openscap(target: Target) -> Iterator[Row]:
    distribution, number = target.system
    content = f"{CONTENT}/ssg-{distribution}{number.replace('.', '')}-ds.xml"
    version = f"{image.version('openscap-scanner')}, content {image.version('ssg-debian')}"
    if not (image.base() / content).exists():
        yield Row(
            "OpenSCAP", version, target.name, "no failed rule", f"no content for {distribution} {number}", holds=False
        )
        return
    text = (image.base() / content).read_text()
    profile = next(name for name in PROFILES if f'content_profile_{name}"' in text)
    results = evaluate(target, content, profile)
    failed = sorted(rule for rule, result in results.items() if result in ("fail", "error", "unknown"))
    waived = waivers("openscap")
    open_ = [rule for rule in failed if rule not in waived]
    passed = sum(result == "pass" for result in results.values())
    seen = "; ".join([f"{passed} pass, {len(failed) - len(open_)} waived, {len(open_)} fail", *open_])
    wanted = "no failed rule that is not waived"
    yield Row("OpenSCAP", version, f"{target.name}: {profile}", wanted, seen, bool(passed) and not open_)


def evaluate(target: Target, content: str, profile: str) -> dict[str, str]:
    """The result of each rule. The program takes its own libraries along, since the host's may be older."""
    lines = image.inside("ldd", "/usr/bin/oscap").splitlines()
    libraries = [word[1:] for line in lines for word in line.split() if word.startswith("/")]
    paths = ["usr/bin/oscap", "usr/share/openscap", content, *libraries]
    with target.carrying(*paths) as folder:
        loader = next(path for path in libraries if "ld-linux" in path)
        places = ":".join(sorted({f"{folder}/{path.rpartition('/')[0]}" for path in libraries}))
        share = f"{folder}/usr/share/openscap"
        environment = f"OSCAP_SCHEMA_PATH={share}/schemas OSCAP_XSLT_PATH={share}/xsl OSCAP_CPE_PATH={share}/cpe"
        program = f"{folder}/{loader} --library-path {places} {folder}/usr/bin/oscap xccdf eval --progress"
        name = f"xccdf_org.ssgproject.content_profile_{profile}"
        printed = target.run(f"cd {folder} && {environment} {program} --profile {name} {folder}/{content}")
    return dict(re.findall(r"^xccdf_org\.ssgproject\.content_rule_(\w+):(\w+)", printed, re.M))
