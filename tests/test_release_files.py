"""Files are replaced whole, and never by way of a link that somebody left."""

from pathlib import Path

from ansible_collections.slipway.host.plugins.module_utils.release.files import read_json, write_json


def test_a_file_is_not_written_through_a_link_of_the_release(tmp_path: Path) -> None:
    """The project's own build could leave one, and root writes."""
    (tmp_path / "shadow").write_text("root")
    (tmp_path / "about.json.new").symlink_to(tmp_path / "shadow")
    write_json(str(tmp_path / "about.json"), {"release": "NEW"})
    assert (tmp_path / "shadow").read_text() == "root"
    assert read_json(str(tmp_path / "about.json")) == {"release": "NEW"}
    assert not (tmp_path / "about.json").is_symlink()
