"""Settings that cannot be imported on a host are told in a sentence."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import django_release
import pytest
from migration_locks import Refused


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Imports settings whose text is given, in the folder of their project."""

    def load(text: str) -> None:
        (tmp_path / "shop_settings.py").write_text(text)
        django_release.load()

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "shop_settings")
    yield load
    sys.modules.pop("shop_settings", None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("int('many')", r"\(shop_settings.py:1\) cannot be imported: invalid literal for int"),
        ("class UndefinedValueError(Exception): ...\nraise UndefinedValueError('KEY not found')", "ed: KEY not found"),
        ("DEBUG = (", r"cannot be imported: '\(' was never closed"),
        ("import os\nos.environ['NOT_SET']", "miss 'NOT_SET': if that is an environment variable, set it in"),
        ("import nothing_of_this_name", "must have the package of nothing_of_this_name"),
    ],
)
def test_why_settings_cannot_be_imported_is_told(settings: Callable[[str], None], text: str, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        settings(text)


def test_a_folder_that_is_not_there_yet_is_writable_where_it_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: path == tmp_path)
    assert django_release.is_writable(tmp_path / "media/files")
    assert not django_release.is_writable(Path("/nowhere/media"))
