"""Fixtures of tests in a browser, for their `pytest_plugins`."""

import re

import pytest
from browser import Visitor
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="session")
def playwright():
    with sync_playwright() as running:
        yield running


@pytest.fixture(autouse=True)
def picture(request):
    """Let a failure show what was on the page."""
    failures = request.session.testsfailed
    yield
    if request.session.testsfailed > failures:
        test = re.sub(r"[^\w-]+", "-", request.node.name)
        for name, visitor in request.node.funcargs.items():
            if isinstance(visitor, Visitor):
                print(f"What the {name} saw: {visitor.screenshot(f'failed-{test}-{name}')}")
