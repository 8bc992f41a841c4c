"""Whether a host's Python is one that a project asks for."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.slipway.host.plugins.plugin_utils.pythons import fits


class FilterModule:
    def filters(self) -> dict[str, Callable[[str, str], bool]]:
        return {"python_fits": fits}
