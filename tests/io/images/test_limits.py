"""Laws of metadata that list too much: one line refuses them before the list is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from bigunet.errors import ImageError
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.limits import MAX_CHANNELS
from bigunet.io.images.plates import open_plate

AXES = [{"name": n} for n in "cyx"]


def write_array(path: Path, shape: list[int], **changes: Any) -> Path:
    """Write the metadata of an array, and no voxels."""
    path.mkdir(parents=True)
    document = {
        "zarr_format": 2, "shape": shape, "chunks": [1] * len(shape), "dtype": "|u1",
        "compressor": None, "fill_value": 0, "order": "C", "filters": None,
    }  # fmt: skip
    (path / ".zarray").write_text(json.dumps(document | changes))
    return path


def write_group(path: Path, attributes: dict[str, Any]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    (path / ".zattrs").write_text(json.dumps(attributes))
    return path


def write_image(path: Path, shape: list[int], **changes: Any) -> Path:
    entry = {"version": "0.4", "axes": AXES, "datasets": [{"path": "0"}]}
    write_group(path, {"multiscales": [entry | changes]})
    write_array(path / "0", shape)
    return path


def test_as_many_channels_as_the_limit_are_read(tmp_path: Path) -> None:
    image = open_multiscale(write_image(tmp_path / "i", [MAX_CHANNELS, 8, 9]))
    assert image.num_channels == len(image.channel_names) == MAX_CHANNELS


@pytest.mark.parametrize(
    ("shape", "changes", "line"),
    [
        ([MAX_CHANNELS + 1, 8, 9], {}, "10001 channels; bigunet reads at most 10000"),
        ([10**9, 8, 9], {}, "1000000000 channels; bigunet reads at most 10000"),
        ([1, 10**13, 9], {}, "an axis of 10000000000000 voxels"),
        ([1, 10**400, 9], {}, r"an axis of over 10\^15 voxels"),
        ([1, 8, 9], {"axes": ["c"] * 100_000}, "100000 axes; .* at most 5"),
        (
            [1, 8, 9],
            {"coordinateTransformations": [{"type": "identity"}] * 100_000},
            "100000 transformations; .* at most 100",
        ),
    ],
)
def test_an_image_that_lists_too_much_is_refused(
    tmp_path: Path, shape: list[int], changes: dict[str, Any], line: str
) -> None:
    path = write_image(tmp_path / "i", shape, **changes)
    with pytest.raises(ImageError, match=line):
        open_multiscale(path)


def test_chunks_longer_than_any_image_are_refused(tmp_path: Path) -> None:
    write_array(tmp_path / "a", [8, 9], chunks=[10**30, 9])
    with pytest.raises(ImageError, match=r"chunks: an axis of over 10\^15 voxels"):
        open_multiscale(tmp_path / "a")


def test_a_plate_of_too_many_wells_or_fields_is_refused(tmp_path: Path) -> None:
    wells = {"plate": {"wells": [{"path": f"A/{k}"} for k in range(100_000)]}}
    path = write_group(tmp_path / "p", wells)
    for act in (open_plate, open_multiscale):
        with pytest.raises(ImageError, match="100000 wells; bigunet reads at most 10000"):
            act(path)
    fields = {"well": {"images": [{"path": f"{k}"} for k in range(100_001)]}}
    with pytest.raises(ImageError, match="100001 fields; bigunet reads at most 100000"):
        open_plate(write_group(tmp_path / "w", fields))


def test_fields_of_all_wells_count_together(tmp_path: Path) -> None:
    path = write_group(tmp_path / "p", {"plate": {"wells": [{"path": "A/1"}, {"path": "A/2"}]}})
    for well in ("A/1", "A/2"):
        images = {"well": {"images": [{"path": f"{k}"} for k in range(50_001)]}}
        write_group(path / well, images)
    with pytest.raises(ImageError, match="100002 fields"):
        open_plate(path)


def test_lists_of_a_million_names_give_one_short_line(tmp_path: Path) -> None:
    root = write_group(tmp_path / "b", {"bioformats2raw.layout": 3})
    write_group(root / "OME", {"series": ["0"] * 10**6})
    many = [{"name": f"a{k}"} for k in range(10**5)]
    datasets = {"axes": AXES, "datasets": [{"path": "0"}]}
    write_group(tmp_path / "m", {"multiscales": [datasets, *many]})
    write_array(tmp_path / "m/0", [1, 8, 9])
    with pytest.raises(ImageError, match=r"holds 1000000 series; .* and 999997 more") as caught:
        open_multiscale(root)
    (note,) = open_multiscale(tmp_path / "m").notes
    assert "has 100001 multiscales" in note
    assert max(len(str(caught.value)), len(note)) < 200 + 4 * len(str(tmp_path))
