"""Whether a host's Python is one that a project asks for, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.slipway.host.plugins.plugin_utils.pythons import fits, ways


class FilterModule:
    def filters(self) -> dict[str, Callable[..., bool | str]]:
        return {"python_fits": fits, "python_ways": ways}
