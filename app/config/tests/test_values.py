"""What is good and what is not: whoever else checks these values reads the same examples."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config import env

_VALUES = json.loads(Path(__file__).with_name("values.json").read_text())
_READERS: dict[str, Callable[[str], Any]] = {
    "origin": env.origins,
    "broker_url": env.broker,
    "domain": env.hosts,
}


def examples(sort: str) -> list[tuple[str, str]]:
    return [(kind, value) for kind, values in _VALUES.items() for value in values[sort]]


@pytest.mark.parametrize(("kind", "value"), examples("good"))
def test_a_good_value_is_taken_as_it_is(
    kind: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUE", value)
    assert _READERS[kind]("VALUE") in (value, [value])


@pytest.mark.parametrize(("kind", "value"), examples("bad"))
def test_a_bad_value_is_refused(kind: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUE", value)
    with pytest.raises(SystemExit, match=r"^Configuration: VALUE "):
        _READERS[kind]("VALUE")
