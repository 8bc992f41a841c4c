#!/usr/bin/python
"""Say which names do not lead to this project's web hosts."""

from __future__ import annotations

import errno
import http.client
import ipaddress
import socket
from collections.abc import Iterator

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: reach
short_description: Say which names do not lead to this project's web hosts
description:
  - Looks each name up in DNS. With a path it also asks for it, as an ACME server does, at port 80 of each address.
  - Returns C(problems), a sentence about each name and address that will not do. It changes nothing.
options:
  names: {type: list, elements: str, required: true, description: Host names.}
  path: {type: str, description: What to ask for; only look the names up without it.}
  answer: {type: str, description: What the right host answers.}
author: Slipway contributors
"""

PORT = 80
SECONDS = 5
# This machine has no such network: whether the address is right, it cannot tell.
ELSEWHERE = (errno.ENETUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def addresses(name: str) -> list[str]:
    try:
        found = socket.getaddrinfo(name, PORT, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(each[4][0]) for each in found})


def ask(name: str, address: str, path: str) -> tuple[int, str]:
    host = f"[{address}]" if ipaddress.ip_address(address.partition("%")[0]).version == 6 else address
    connection = http.client.HTTPConnection(host, PORT, timeout=SECONDS)
    try:
        connection.request("GET", path, headers={"Host": name})
        response = connection.getresponse()
        return response.status, response.read(1000).decode(errors="replace")
    finally:
        connection.close()


def problem(name: str, address: str, path: str, answer: str) -> str:
    """What is wrong with an address of a name, empty where nothing is."""
    try:
        status, said = ask(name, address, path)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.errno in ELSEWHERE:
            return ""
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return f"{name} leads to {address}, where port {PORT} does not answer ({why}): open that port, or correct DNS."
    if (status, said) == (200, answer):
        return ""
    return f"{name} leads to {address}, where another program answers ({status}): correct DNS, or whatever is in front."


def problems(names: list[str], path: str | None, answer: str) -> Iterator[str]:
    for name in names:
        found = addresses(name)
        if not found:
            yield f"{name} is not in DNS: let it lead to the web hosts, or take it from certificates_names."
        elif path:
            yield from filter(None, (problem(name, address, path, answer) for address in found))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "path": {"type": "str"},
            "answer": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    module.exit_json(changed=False, problems=list(problems(given["names"], given["path"], given["answer"])))


if __name__ == "__main__":
    main()
