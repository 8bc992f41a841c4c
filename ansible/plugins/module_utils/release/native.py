"""What of the distribution Python packages need: to be compiled, where they come as source, and to run."""

from __future__ import annotations

import re
from collections.abc import Iterable

COMPILER = ("build-essential", "python3-dev")
# Those that have no wheel for Linux.
SOURCES = {
    "dbus-python": ("libdbus-1-dev", "libglib2.0-dev", "pkg-config"),
    "gdal": ("libgdal-dev",),
    "m2crypto": ("libssl-dev", "swig"),
    "netifaces": (),
    "psycopg-c": ("libpq-dev",),
    "psycopg2": ("libpq-dev",),
    "pycairo": ("libcairo2-dev", "pkg-config"),
    "pygraphviz": ("libgraphviz-dev", "pkg-config"),
    "python-ldap": ("libldap-dev", "libsasl2-dev"),
    "uwsgi": (),
}
# Those that have one, but not for each Python and each version. No server of MySQL is made here, so no list of packages
# needs mysqlclient by itself.
WHEELS = {
    "cffi": ("libffi-dev",),
    "cryptography": ("cargo", "libssl-dev", "pkg-config"),
    "fiona": ("libgdal-dev",),
    "lxml": ("libxml2-dev", "libxslt1-dev"),
    "mysqlclient": ("default-libmysqlclient-dev", "pkg-config"),
    "pillow": ("libfreetype-dev", "libjpeg-dev", "zlib1g-dev"),
    "pycurl": ("libcurl4-openssl-dev", "libssl-dev"),
    "pylibmc": ("libmemcached-dev", "libsasl2-dev", "zlib1g-dev"),
    "shapely": ("libgeos-dev",),
    "xmlsec": ("libxml2-dev", "libxmlsec1-dev", "libxmlsec1-openssl", "pkg-config"),
}
# What they load or start when they run.
RUNNING = {
    "cairocffi": ("libcairo2",),
    "cairosvg": ("libcairo2",),
    "ffmpeg-python": ("ffmpeg",),
    "gitpython": ("git",),
    "graphviz": ("graphviz",),
    "ocrmypdf": ("ghostscript", "tesseract-ocr"),
    "pdf2image": ("poppler-utils",),
    "pydot": ("graphviz",),
    "pydub": ("ffmpeg",),
    "pypandoc": ("pandoc",),
    "pytesseract": ("tesseract-ocr",),
    "python-magic": ("libmagic1",),
    "pyzbar": ("libzbar0",),
    "wand": ("libmagickwand-dev",),
    "weasyprint": ("libpango-1.0-0", "libpangoft2-1.0-0"),
}
# What compilers and their helpers miss, and what brings it.
TOOLS = {
    r"(.*-)?(gcc|cc|g\+\+|c\+\+|make)": COMPILER,
    r"python\.h": ("python3-dev",),
    r"pg_config|libpq-fe\.h|pq": ("libpq-dev",),
    r"pkg-?config": ("pkg-config",),
    r"git": ("git",),
    r"cargo|rustc": ("cargo",),
    r"cmake": ("cmake",),
    r"swig": ("swig",),
    r"ffi\.h": ("libffi-dev",),
    r"(gdal-config|gdal)": ("libgdal-dev",),
    r"openssl/.*|ssl|crypto": ("libssl-dev",),
    r"libxml/.*|xml2": ("libxml2-dev",),
    r"libxslt/.*|xslt": ("libxslt1-dev",),
    r"jpeglib\.h|jpeg": ("libjpeg-dev",),
    r"zlib\.h|z": ("zlib1g-dev",),
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def to_compile(name: str) -> tuple[str, ...]:
    """The Debian packages that a Python package needs to be compiled; a compiler, where no more is known."""
    known = normal(name)
    return (*COMPILER, *SOURCES.get(known, WHEELS.get(known, ())))


def is_known(name: str) -> bool:
    return normal(name) in {*SOURCES, *WHEELS}


def to_find(missing: str) -> tuple[str, ...]:
    """The Debian packages that bring what a compiler or a helper of it did not find."""
    return next((packages for pattern, packages in TOOLS.items() if re.fullmatch(pattern, missing, re.I)), ())


def needs(packages: Iterable[str], sources: Iterable[str]) -> list[str]:
    """The Debian packages that Python packages need, of which some come as source."""
    built = [package for name in sources if is_known(name) for package in to_compile(name)]
    names = set(map(normal, packages))
    run = [package for name in names for package in RUNNING.get(name, ())]
    # psycopg alone loads the library that its two other forms bring along.
    library = ["libpq5"] if "psycopg" in names and not {"psycopg-binary", "psycopg-c"} & names else []
    return sorted({*built, *run, *library})
