"""What a host remembers of its releases: who changes it now, what was tried, what ran."""

import contextlib
import datetime
import json
import os
import time

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

# A lock whose owner has not been heard of for this long is nobody's. Longer than any step of a deploy may take
# on another host, and than most hooks.
LEASE_SECONDS = 1800
# What two activations must share to be the same.
IDENTITY = ("release", "environment")


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def read_json(path):
    """The object in a JSON file, or None."""
    with contextlib.suppress(OSError, ValueError), open(path) as file:
        content = json.load(file)
        return content if isinstance(content, dict) else None
    return None


def write_json(path, content):
    """Replace a file in one step: who reads it sees the old or the new content."""
    draft = f"{path}.new"
    with open(draft, "w") as file:
        json.dump(content, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def same(one, other):
    return all(one.get(key) == other.get(key) for key in IDENTITY)


class History:
    """One line of JSON for each finished attempt; the file is only ever appended to."""

    def __init__(self, root):
        self.path = os.path.join(root, "history.jsonl")

    def read(self):
        """All records, first first. A line that a crash cut off or damaged is none."""
        found = []
        with contextlib.suppress(OSError), open(self.path, errors="replace") as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    found.append(json.loads(line))
        return [record for record in found if isinstance(record, dict)]

    def append(self, **record):
        # Begins a line of its own, whatever a crash left at the end of the file.
        torn = False
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as file:
            torn = not file.read().endswith(b"\n")
        # What failed is told word for word, which is for root alone.
        with open(os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "w") as file:
            file.write("\n" * torn + json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def good(self):
        """The records of what was found healthy, first first."""
        return [record for record in self.read() if record.get("result") == "good"]

    def line(self):
        """The activations that led to the present one, last last; what was rolled back is not among them."""
        line = []
        for record in self.good():
            if record.get("kind") in ("rollback", "return"):
                places = [place for place, earlier in enumerate(line) if same(earlier, record)]
                line = line[: places[-1]] if places else line
            elif line and same(line[-1], record):
                line.pop()
            line.append(record)
        return line


class Lease:
    """Who may change the releases of a host. It belongs to a run of Ansible, and ends when nothing renews it."""

    def __init__(self, root):
        self.path = os.path.join(root, "lock.json")

    def holder(self):
        """Who has it: `token`, `who`, `what`, `since`; None when nobody does."""
        try:
            age = time.time() - os.stat(self.path).st_mtime
        except OSError:
            return None
        return read_json(self.path) if age < LEASE_SECONDS else None

    def take(self, token, who, what):
        write_json(self.path, {"token": token, "who": who, "what": what, "since": now()})

    def belongs_to(self, token):
        return (read_json(self.path) or {}).get("token") == token

    def require(self, token):
        """Renew it, or refuse when it is not ours any more."""
        if not self.belongs_to(token):
            holder = self.holder()
            now_has = f" {holder['who']} has it now, for a {holder['what']}." if holder else ""
            raise UserError(f"The lock was taken away from this run, so it stops here.{now_has}")
        os.utime(self.path)

    def drop(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


class Attempt:
    """What is being tried now. A file that outlives its lease tells of a run that was killed."""

    def __init__(self, root):
        self.path = os.path.join(root, "attempt.json")

    def read(self):
        return read_json(self.path)

    def write(self, content):
        write_json(self.path, content)

    def update(self, **changes):
        self.write({**(self.read() or {}), **changes})

    def drop(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
