"""Fixtures that several modules of tests share."""

from release_host import archive, commands, shop, unhealthy

__all__ = ["archive", "commands", "shop", "unhealthy"]
