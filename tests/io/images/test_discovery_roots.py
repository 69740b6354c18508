"""Laws of roots that hold several images: bioformats2raw series, plates and wells."""

from pathlib import Path
from typing import Any

import pytest
import zarr

from bigunet.errors import ImageError
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.plates import open_plate


def write_group(path: Path, attributes: dict[str, Any]) -> Path:
    """Write a group with these attributes and no members."""
    zarr.open_group(str(path), mode="a", zarr_format=2).attrs.put(attributes)
    return path


def write_image(path: Path) -> Path:
    """Write a small image with one level."""
    entry = {"version": "0.4", "axes": ["y", "x"], "datasets": [{"path": "0"}]}
    write_group(path, {"multiscales": [entry]})
    zarr.create_array(str(path / "0"), shape=(8, 9), dtype="uint8", zarr_format=2)
    return path


@pytest.mark.parametrize("index", [True, False], ids=["with OME", "without OME"])
def test_a_bioformats2raw_root_is_its_only_series(tmp_path: Path, index: bool) -> None:
    root = write_group(tmp_path / "b.zarr", {"bioformats2raw.layout": 3})
    write_image(root / "0")
    if index:
        write_group(root / "OME", {"series": ["0"]})
    assert open_multiscale(root).url == str(root / "0")


@pytest.mark.parametrize("index", [True, False], ids=["with OME", "without OME"])
def test_several_series_are_named_to_choose_from(tmp_path: Path, index: bool) -> None:
    root = write_group(tmp_path / "b.zarr", {"bioformats2raw.layout": 3})
    for series in ("0", "1"):
        write_image(root / series)
    if index:
        write_group(root / "OME", {"series": ["0", "1"]})
    with pytest.raises(ImageError, match=r"holds 2 series; give one of them: .*zarr/0, .*zarr/1"):
        open_multiscale(root)


def write_plate(path: Path) -> Path:
    wells = [{"path": "A/1"}, {"path": "B/2"}, {"path": "B/3"}, {"path": "C/1"}, {"path": "D/1"}]
    write_group(path, {"plate": {"version": "0.4", "wells": wells}})
    write_group(path / "A/1", {"well": {"images": [{"path": "0"}, {"path": 1}]}})
    write_group(path / "B/2", {"well": {"images": [{"path": "f0"}]}})
    write_group(path / "C/1", {})  # a well without metadata
    write_image(path / "C/1/0")
    write_image(path / "A/1/0")
    write_group(path / "D/1", {})  # a folder without metadata and fields, so no well
    return path


def test_a_plate_lists_the_fields_of_its_stored_wells(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr")
    assert open_plate(plate).fields == ("A/1/0", "C/1/0")
    assert open_plate(plate / "A/1").fields == ("0",)


def test_one_line_names_the_wells_and_fields_that_are_listed_but_not_stored(
    tmp_path: Path,
) -> None:
    plate = open_plate(write_plate(tmp_path / "p.zarr"))
    assert (plate.missing_wells, plate.missing_fields) == (("B/3", "D/1"), ("A/1/1", "B/2/f0"))
    assert plate.notes == (
        f"{tmp_path / 'p.zarr'} lists 2 wells and 2 fields that are not stored: "
        "B/3, D/1, A/1/1, B/2/f0",
    )


def test_a_line_names_one_field_of_a_well_that_is_not_stored(tmp_path: Path) -> None:
    (note,) = open_plate(write_plate(tmp_path / "p.zarr") / "A/1").notes
    assert note.endswith("A/1 lists 1 field that is not stored: 1")


def test_the_first_of_many_missing_wells_are_named(tmp_path: Path) -> None:
    wells = [{"path": f"A/{k}"} for k in range(1, 1001)]
    plate = open_plate(write_group(tmp_path / "p.zarr", {"plate": {"wells": wells}}))
    (note,) = plate.notes
    assert note.endswith("1000 wells that are not stored: A/1, A/2, A/3, A/4, A/5 and 995 more")
    assert len(plate.missing) == 1000


def test_a_plate_that_stores_all_that_it_lists_needs_no_note(tmp_path: Path) -> None:
    listed = {"plate": {"wells": [{"path": "A/1"}, {"path": "A/1"}]}}
    write_group(tmp_path / "p.zarr", listed)
    write_group(tmp_path / "p.zarr/A/1", {"well": {"images": [{"path": "0"}, {"path": "0"}]}})
    write_image(tmp_path / "p.zarr/A/1/0")
    plate = open_plate(tmp_path / "p.zarr")
    assert (plate.fields, plate.missing, plate.notes) == (("A/1/0",), (), ())


def test_a_plate_or_well_is_refused_with_fields_to_give_instead(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr")
    with pytest.raises(ImageError, match=r"is a plate, .* fields: .*p.zarr/A/1/0, .*p.zarr/A/1/1"):
        open_multiscale(plate)
    with pytest.raises(ImageError, match=r"is a well, .* fields: .*p.zarr/A/1/0"):
        open_multiscale(plate / "A/1")


def test_a_series_that_is_no_image_is_refused(tmp_path: Path) -> None:
    root = write_group(tmp_path / "b.zarr", {"bioformats2raw.layout": 3})
    write_group(root / "0", {})
    with pytest.raises(ImageError, match=r"b.zarr/0 has no multiscales, so it is no image"):
        open_multiscale(root)


def test_an_image_has_no_fields(tmp_path: Path) -> None:
    path = write_image(tmp_path / "i")
    with pytest.raises(ImageError, match="neither a plate nor a well"):
        open_plate(path)
