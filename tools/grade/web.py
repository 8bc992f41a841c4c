"""What strangers' programs say of the site: testssl.sh of its TLS, Mozilla's HTTP Observatory of its headers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.controller import CACHE

from grade import image
from grade.row import Row
from grade.target import Target
from grade.waivers import waivers

PACKAGE = Path(__file__).with_name("node_modules") / "@mdn/mdn-http-observatory"
BAD = ("MEDIUM", "HIGH", "CRITICAL", "FATAL")
# The most that suites of 128 bits leave, and RFC 8446 demands those.
LEAST_TLS = 96
# What is graded, its path, and the least that it must reach.
PAGES = {"API": ("/", 130), "admin": ("/admin/login/", 130), "docs": ("/api/docs/", 100)}


def testssl(target: Target) -> Iterator[Row]:
    site = target.site
    with tempfile.TemporaryDirectory() as folder:
        command = ["testssl", "--quiet", "--color=0", f"--ip={site.address}", "--jsonfile=/mnt/found.json"]
        if site.authority.exists():
            shutil.copy(site.authority, folder)
            command.append("--add-ca=/mnt/ca.crt")
        image.inside(*command, site.origin, folder=Path(folder))
        found = json.loads(Path(folder, "found.json").read_text())
    seen, holds = judge_tls(found, LEAST_TLS)
    wanted = f"A+ {LEAST_TLS}, nothing of medium or worse"
    yield Row("testssl.sh", image.version("testssl.sh"), site.origin, wanted, seen, holds)


def judge_tls(found: list[dict[str, str]], least: int) -> tuple[str, bool]:
    values = {entry["id"]: entry["finding"] for entry in found}
    waived = waivers("testssl")
    bad = [entry for entry in found if entry["severity"] in BAD and entry["id"] not in waived]
    grade, score = values.get("overall_grade", "none"), values.get("final_score", "0")
    seen = "; ".join([f"{grade} {score}", *(f"{entry['id']}: {entry['finding']}" for entry in bad)])
    return seen, grade == "A+" and int(score) >= least and not bad


def observatory(target: Target) -> Iterator[Row]:
    version = json.loads((PACKAGE / "package.json").read_text())["version"]
    site = target.site
    known = PAGES if target.is_example else {"site": ("/", 100)}
    pages = [(name, site.domain, *page) for name, page in known.items()]
    pages += [("app", frontend["domain"], "/", 100) for frontend in target.variables.get("project_frontends", [])]
    for name, domain, path, least in pages:
        seen, holds = judge_page(scan(target, domain + path), least)
        yield Row("HTTP Observatory", version, f"{name}: {domain}{path}", f"A+ {least}", seen, holds)


def scan(target: Target, page: str) -> dict[str, Any]:
    # Browsers' list of names that are HTTPS only; the package fetches it while it is installed.
    (PACKAGE / "conf/hsts-preload.json").write_text("{}")
    site = target.site
    route = {"GRADE_ADDRESS": site.address, "GRADE_HTTP": str(site.http_port), "GRADE_HTTPS": str(site.https_port)}
    environment = {**os.environ, **route, "NODE_EXTRA_CA_CERTS": str(site.authority)}
    hook = Path(__file__).with_name("observatory.mjs")
    program = [str(CACHE / "node/bin/node"), f"--import={hook}", str(PACKAGE / "src/scan.js")]
    done = subprocess.run([*program, page], env=environment, capture_output=True, text=True, check=False)
    answer: dict[str, Any] = json.loads(done.stdout or '{"error": "it ended without an answer"}')
    return answer


def judge_page(answer: dict[str, Any], least: int) -> tuple[str, bool]:
    if "error" in answer:
        return answer["error"], False
    grade, score = answer["scan"]["grade"], answer["scan"]["score"]
    failed = [name for name, test in answer["tests"].items() if not test["pass"]]
    return "; ".join([f"{grade} {score}", *failed]), grade == "A+" and score >= least
