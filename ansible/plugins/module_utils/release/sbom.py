"""What a release is made of, as a CycloneDX document (SBOM): the packages of its virtual environment and of its
package-lock.json.

The standard's own tool would bring 33 packages more to each host, and npm's refuses a package.json without a version. A
test holds the document against the standard's schema.
"""

from __future__ import annotations

import base64
import glob
import json
import os
import uuid
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from urllib.parse import quote

from ansible_collections.slipway.host.plugins.module_utils.git import without_login
from ansible_collections.slipway.host.plugins.module_utils.release.files import Json, now, read_json, write_json
from ansible_collections.slipway.host.plugins.module_utils.release.native import normal

FILE = ".sbom.cdx.json"


def write(release: str, folder: str, project: str) -> None:
    """Write the document of a release beside its code."""
    found = {json.dumps(component): component for component in (*python_packages(folder), *npm_packages(folder))}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {"timestamp": now(), "component": {"type": "application", "name": project, "version": release}},
        "components": sorted(found.values(), key=lambda each: (str(each["name"]), str(each["version"]))),
    }
    write_json(os.path.join(folder, FILE), document)


def component(name: str, version: str, **about: object) -> Json:
    return {
        "type": "library",
        "name": name,
        "version": version,
        **{key: value for key, value in about.items() if value},
    }


def python_packages(folder: str) -> Iterator[Json]:
    places = glob.glob(os.path.join(folder, ".venv", "lib", "python*", "site-packages"))
    for package in distributions(path=places):
        about, name = package.metadata, normal(package.metadata["Name"])
        licenses = [{"expression": about["License-Expression"]}] if "License-Expression" in about else []
        # No advisory for a package of that name is about one that comes from elsewhere than an index.
        source = origin(package)
        purl = "" if source else f"pkg:pypi/{name}@{quote(package.version, safe='')}"
        references = [{"type": "distribution", "url": source}] if source else []
        yield component(name, package.version, licenses=licenses, purl=purl, externalReferences=references)


def origin(package: Distribution) -> str:
    """Where a package comes from that no index has; empty for the others."""
    recorded = json.loads(package.read_text("direct_url.json") or "{}")
    url, source = without_login(recorded.get("url", "")), recorded.get("vcs_info")
    return f"{source['vcs']}+{url}@{source['commit_id']}" if source else url


def npm_packages(folder: str) -> Iterator[Json]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "node_modules"]
        if "package-lock.json" in files:
            locked = read_json(os.path.join(place, "package-lock.json")) or {}
            for path, package in locked.get("packages", {}).items():
                name = package.get("name") or path.rpartition("node_modules/")[2]
                # The project itself, and parts of it that lie elsewhere in it, are not from the registry.
                if "node_modules/" in path and not package.get("link"):
                    yield npm_package(name, package)


def npm_package(name: str, package: Json) -> Json:
    version, integrity = package.get("version", ""), package.get("integrity", "")
    hashes = [
        {"alg": f"SHA-{kind[3:]}", "content": base64.b64decode(value).hex()}
        for kind, _, value in (each.partition("-") for each in integrity.split())
    ]
    purl = f"pkg:npm/{quote(name, safe='/')}@{quote(version, safe='')}"
    development = [{"name": "cdx:npm:package:development", "value": "true"}] if package.get("dev") else []
    return component(name, version, hashes=hashes, purl=purl, properties=development)
