"""Name and pack what is to be released, on the controller: a commit of a checkout, of a repository, or a tarball.

The result is an archive whose root is the Django project's folder, named after its content, so that the same source
is the same release everywhere and is packed and built only once.
"""

from __future__ import annotations

import copy
import fcntl
import hashlib
import io
import os
import re
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.git import git, reason, unattended, without_login
from ansible_collections.slipway.host.plugins.module_utils.release.requirements import ABOVE, KINDS
from ansible_collections.slipway.host.plugins.plugin_utils.archives import CACHE, is_packed
from ansible_collections.slipway.host.plugins.plugin_utils.pythons import wanted
from ansible_collections.slipway.host.plugins.plugin_utils.trees import (
    collect,
    content,
    leading_out,
    require_committed_submodules,
)

# What is taken along of the folder above the project's in which its requirements lie.
REQUIREMENTS = (".lock", ".toml", ".txt")


def commit_of(folder: Path, ref: str, what: str) -> str:
    done = git(folder, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if done.returncode:
        raise UserError(f"{what} has no commit, tag or branch {ref}: name another in application_source_ref (REF=...).")
    return done.stdout.strip()


def mirror(url: str, cache: Path) -> Path:
    """An up-to-date copy of a repository, without working tree."""
    folder = cache / "repositories" / hashlib.sha256(url.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
    with (folder / "fetching").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        # What a killed run left: a copy that is not whole, and locks.
        git(folder, "init", "--bare", "--quiet")
        for lock in folder.glob("**/*.lock"):
            lock.unlink()
        done = git(folder, "fetch", "--quiet", "--prune", "--force", url, *refs, env=unattended())
        if done.returncode:
            raise UserError(f"application_source_repository {without_login(url)} cannot be fetched: {reason(done)}.")
        # A fetch leaves HEAD where `git init` put it.
        answer = git(folder, "ls-remote", "--symref", url, "HEAD", env=unattended()).stdout
        if default := re.match(r"ref: (\S+)\tHEAD", answer):
            git(folder, "symbolic-ref", "HEAD", default[1])
    return folder


def snapshot(folder: Path) -> str:
    """The tree of a checkout as it lies there, with what is not committed; ignored files stay out."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "GIT_INDEX_FILE": f"{scratch}/index"}
        for words in (["read-tree", "HEAD"], ["add", "--all"], ["write-tree"]):
            done = git(folder, *words, env=environment)
            if done.returncode:
                raise UserError(f"git {words[0]} failed in {folder}: {done.stderr.strip()}")
    return done.stdout.strip()


def above(path: Path | str, requirements: str) -> Path | None:
    """The folder above the project's in which its requirements lie, relative to the source; None where they do not."""
    if not requirements.startswith("../"):
        return None
    place = Path(os.path.normpath(Path(path, requirements))).parent
    if ".." in place.parts:
        raise UserError(
            f"application_requirements_file {requirements} lies outside of the source: name a file that is in it."
        )
    return place


def shape(source: tarfile.TarFile, root: Path, place: Path | None, draft: Path, store: Path | None = None) -> None:
    """Give an archive our shape: the project's folder at the root, requirements of above in a folder of their own."""
    with tarfile.open(draft, "w:gz", compresslevel=6) as target:
        for member in source.getmembers():
            path, packed = Path(member.name), copy.copy(member)
            # They would keep a name that is long or has other letters than English.
            packed.pax_headers = {}
            if path.is_relative_to(root):
                packed.name = str(path.relative_to(root))
            elif path.parent == place and path.suffix in REQUIREMENTS:
                packed.name = f"{ABOVE}/{path.name}"
            else:
                continue
            if member.islnk():
                # A second name of a file, which may lie outside of the folder.
                packed.type, packed.size = tarfile.REGTYPE, source.getmember(member.linkname).size
            file = content(source, member, store) if packed.isfile() else None
            if isinstance(file, io.BytesIO):
                packed.size = len(file.getbuffer())
            target.addfile(packed, file)


def pack(folder: Path, tree: str, path: str, archive: Path, requirements: str) -> None:
    """Pack one folder of a tree; in one step, so that a killed run leaves no half of it."""
    if is_packed(archive):
        return
    place = above(path, requirements)
    paths = [path or "."]
    if place is not None:
        names = git(folder, "ls-tree", "--name-only", tree, "--", *([] if place == Path() else [f"{place}/"])).stdout
        paths += [name for name in names.splitlines() if Path(name).suffix in REQUIREMENTS]
    draft = archive.with_suffix(f".{os.getpid()}")
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(f"{scratch}/tar", "w") as whole:
            if not collect(whole, folder, tree, paths):
                raise UserError(
                    f"{tree[:12]} has no folder {path}: set application_source_folder to where manage.py is."
                )
        store = Path(folder, git(folder, "rev-parse", "--git-path", "lfs/objects").stdout.strip())
        with tarfile.open(f"{scratch}/tar") as source:
            if str(Path(path, "manage.py")) not in source.getnames():
                raise UserError(
                    f"There is no manage.py in {path or 'the root'} of {tree[:12]}, so it is no Django project: "
                    "set application_source_folder to where manage.py is."
                )
            shape(source, Path(path), place, draft, store)
    draft.rename(archive)


def repack(tarball: Path, path: str, archive: Path, requirements: str) -> None:
    """Pack one folder of a tarball, wherever it lies there."""
    if is_packed(archive):
        return
    draft = archive.with_suffix(f".{os.getpid()}")
    with tarfile.open(tarball) as source:
        roots = [Path(name).parent for name in source.getnames() if Path(name).name == "manage.py"]
        wanted = [root for root in roots if not path or root.name == Path(path).name]
        if not wanted:
            raise UserError(f"{tarball} has no manage.py in a folder {path or 'at its root'}: is it a Django project?")
        root = min(wanted, key=lambda each: len(each.parts))
        shape(source, root, above(root, requirements), draft)
    draft.rename(archive)


def archive_path(cache: Path, folder: str, requirements: str, release: str) -> Path:
    """Where the archive of a release lies; another folder of the same commit is another archive."""
    key = f"{folder} {requirements}" if requirements.startswith("../") else folder
    return cache / "releases" / hashlib.sha256(key.encode()).hexdigest()[:8] / f"{release}.tar.gz"


def require(packed: tarfile.TarFile, requirements: str, settings: str) -> None:
    """Refuse what no host could build: no such file of requirements, no such settings."""
    names = {member.name.removeprefix("./") for member in packed if member.isfile()}
    inner = f"{ABOVE}/{Path(requirements).name}" if requirements.startswith("../") else requirements
    if requirements and inner not in names:
        known = [name for name in sorted(names) if Path(name).name in KINDS or re.search(r"requirements.*\.txt$", name)]
        raise UserError(
            f"The project has no {requirements}: commit it, or name another in application_requirements_file"
            + (f", for example {known[0]}." if known else ", such as uv.lock or requirements.txt.")
        )
    path = settings.replace(".", "/")
    package = path.split("/")[0]
    ours = any(name.startswith((f"{package}/", f"{package}.py")) for name in names)
    # Settings may also come with an installed package.
    if settings and ours and not {f"{path}.py", f"{path}/__init__.py"} & names:
        known = sorted(name[:-3].replace("/", ".") for name in names if re.search(r"settings(/[a-z]\w*)?\.py$", name))
        raise UserError(
            f"The project has no settings module {settings}: name another in application_settings_module"
            + (f", for example {known[0]}." if known else ".")
        )


def resolve(
    cache: Path,
    checkout: str,
    ref: str,
    folder: str,
    requirements: str = "",
    settings: str = "",
    **options: Any,
) -> dict[str, Any]:
    found = locate(cache, checkout, ref, folder, requirements, **options)
    with tarfile.open(found["archive"]) as packed:
        require(packed, requirements, settings)
        warnings = [*found.get("warnings", []), *leading_out(packed)]
        return {**found, "python": wanted(packed, requirements), "warnings": warnings}


def locate(
    cache: Path,
    checkout: str,
    ref: str,
    folder: str,
    requirements: str,
    repository: str = "",
    tarball: str = "",
    uncommitted: bool = False,
) -> dict[str, Any]:
    if tarball:
        return from_tarball(cache, Path(tarball), folder, requirements)
    warnings = []
    if repository:
        place = mirror(repository, cache)
        tree = commit = commit_of(place, ref, without_login(repository))
    else:
        place = Path(checkout)
        found = git(place, "rev-parse", "--show-toplevel")
        if found.returncode:
            raise UserError(
                f"application_source_path {place} is no git checkout: name one, or set application_source_repository."
            )
        place = Path(found.stdout.rstrip("\n"))
        tree = commit = commit_of(place, ref, f"The checkout {place}")
    release = commit[:12]
    around = above(folder, requirements)
    paths = [folder or "."] + ([] if around is None else [f":(glob){around}/*"])
    changed = [] if repository else git(place, "status", "--porcelain", "--", *paths).stdout.splitlines()
    if changed and uncommitted and ref == "HEAD":
        require_committed_submodules(place, paths)
        tree = snapshot(place)
        release = f"{commit[:12]}-{tree[:6]}"
    elif changed and ref == "HEAD":
        names = ", ".join(line[3:] for line in changed[:3]) + (", ..." if len(changed) > 3 else "")
        warnings = [f"{len(changed)} changed files are not committed, so they are not released: {names}"]
    archive = archive_path(cache, folder, requirements, release)
    pack(place, tree, folder.strip("/"), archive, requirements)
    return {"release": release, "commit": commit, "ref": ref, "archive": str(archive), "warnings": warnings}


def from_tarball(cache: Path, tarball: Path, folder: str, requirements: str) -> dict[str, Any]:
    try:
        digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
        archive = archive_path(cache, folder, requirements, digest[:12])
        repack(tarball, folder.strip("/"), archive, requirements)
    except (OSError, tarfile.TarError) as error:
        raise UserError(f"application_source_archive {tarball} cannot be read: {error}.") from error
    return {"release": digest[:12], "commit": None, "ref": tarball.name, "archive": str(archive)}


class ActionModule(ActionBase):
    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        try:
            return {**result, "changed": False, **resolve(cache=CACHE, **self._task.args)}
        except UserError as refusal:
            return {**result, "failed": True, "msg": f"{refusal} Nothing was changed."}
