"""Sites as browsers know them: a cookie that is SameSite=Lax stays within one."""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList


def foreign_origins(origins: Iterable[str], *, hosts: Iterable[str], https: bool) -> list[str]:
    """The origins that are of another site than every one of the hosts.

    `https` says how clients reach the hosts: browsers count a page without it as foreign there.
    """
    suffixes = PublicSuffixList()
    own = {_site(host.lower().lstrip("."), suffixes) for host in hosts}
    return [
        origin
        for origin in origins
        if (https and origin.startswith("http:"))
        or _site(urlsplit(origin).hostname or "", suffixes) not in own
    ]


def _site(host: str, suffixes: PublicSuffixList) -> str:
    """The registrable domain. An address, a single label and a public suffix have none."""
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        return suffixes.privatesuffix(host) or host
