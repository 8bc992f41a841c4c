"""Fixtures of tests in a browser, for their `pytest_plugins`."""

import re
from collections.abc import Iterator

import pytest
from browser import Visitor
from playwright.sync_api import Playwright, sync_playwright


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(autouse=True)
def picture(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let a failure show what was on the page."""
    failures = request.session.testsfailed
    yield
    if request.session.testsfailed > failures:
        test = re.sub(r"[^\w-]+", "-", request.node.name)
        for name, visitor in request.node.funcargs.items():
            if isinstance(visitor, Visitor):
                print(f"What the {name} saw: {visitor.screenshot(f'failed-{test}-{name}')}")
