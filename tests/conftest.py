"""Fixtures that several modules of tests share."""

from release_host import shop, unhealthy

__all__ = ["shop", "unhealthy"]
