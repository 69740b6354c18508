"""The demo replaces an earlier demo, and refuses a folder with other files."""

from __future__ import annotations

from pathlib import Path

import pytest
from distributed import Client
from PIL import Image

from bigunet.demo import demo
from bigunet.errors import OutputError


def test_a_demo_is_replaced_by_the_next(tmp_path: Path, client: Client) -> None:
    (tmp_path / ".hidden").touch()
    for shape in ((300, 200), (200, 300)):
        made = demo(tmp_path, shape=shape, client=client)
        assert made.report.plan.image.volume_shape() == shape
        with Image.open(made.picture) as picture:
            assert min(picture.size) > 100
    assert {path.name for path in tmp_path.glob("[!.]*")} == {"in.zarr", "out.zarr", "overlay.png"}


@pytest.mark.parametrize("name", ["notes.txt", "overlay.png", "other.zarr"])
def test_a_folder_of_other_files_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("notes")
    with pytest.raises(OutputError, match=rf"holds {name}, which is not a demo's; give a new"):
        demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "notes"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(OutputError, match="a is a file; give a folder"):
        demo(tmp_path / "a")
