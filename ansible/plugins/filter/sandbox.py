"""The sandbox in which a command of the project runs that a person types, for templates."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.slipway.host.plugins.module_utils.release.django import sandbox


class FilterModule:
    def filters(self) -> dict[str, Callable[[str], list[str]]]:
        return {"sandbox": sandbox}
