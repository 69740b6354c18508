"""Arrays of an output: their form, and descriptions that are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zarr
from support.outputs import (
    AXES,
    VERSIONS,
    assert_levels_equal,
    fingerprints,
    output_image,
    random_values,
    write_all,
)
from zarr.errors import ContainsGroupError

from bigunet.errors import OutputError
from bigunet.io.images.multiscale import Axis
from bigunet.io.output.arrays import create_arrays
from bigunet.io.output.writing import open_group, sweep_partial_files


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_has_its_own_form_of_arrays(tmp_path: Path, version: str) -> None:
    output = output_image(tmp_path / "out.zarr", "cyx", version)
    write_all(output, random_values(output))
    array = zarr.open_array(output.store, path="probabilities/0", mode="r")
    chunk_file = "c/1/1/2" if version == "0.5" else "1/1/2"
    assert (tmp_path / "out.zarr/probabilities/0" / chunk_file).exists()
    assert array.chunks == (1, 4, 4)
    assert array.shards == ((1, 16, 8) if version == "0.5" else None)
    assert array.fill_value == 0
    if version == "0.5":
        assert array.metadata.dimension_names == ("c", "y", "x")


def test_existing_arrays_of_the_same_form_are_kept(tmp_path: Path) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    values = random_values(output)
    write_all(output, values)
    create_arrays(output)
    assert_levels_equal(output, values)
    with pytest.raises(OutputError, match="exists and differs"):
        create_arrays(replace(output, dtype="uint16"))
    with pytest.raises(OutputError, match=r"is not OME-Zarr 0\.4"):
        create_arrays(replace(output, version="0.4"))


def test_an_output_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.zarr").write_text("a file")
    with pytest.raises(OutputError, match=r"cannot write .*out\.zarr"):
        create_arrays(output_image(tmp_path / "out.zarr", "yx"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axes": (AXES["y"], AXES["y"])}, "at most once"),
        ({"axes": (AXES["y"], Axis("q", "space", None))}, "use each of t, z, y, x"),
        ({"scale": (1.0,)}, "one value per axis"),
        ({"num_channels": 2}, "need one channel axis"),
        ({"dtype": "float32"}, "integer dtype"),
        ({"group": "classes"}, "name it 'labels/NAME'"),
        ({"kind": "image", "group": "scores"}, "name every channel or none"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(OutputError, match=message):
        replace(output_image("out.zarr", "yx"), **changes)


def test_sweeping_removes_partial_files_and_nothing_else(tmp_path: Path) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    values = random_values(output)
    write_all(output, values)
    before = fingerprints(output.store)
    folder = tmp_path / "out.zarr/labels/classes/0/c/0"
    for name in (f"0.{'a1' * 16}.partial", f"zarr.{'0f' * 16}.partial"):
        (folder / name).write_bytes(b"half")
    (tmp_path / "out.zarr/mine.partial").write_bytes(b"kept")
    assert sweep_partial_files(output.store) == 2
    assert sweep_partial_files(output.store) == 0
    assert set(fingerprints(output.store)) == {*before, "mine.partial"}


def test_a_group_that_another_process_makes_at_the_same_time_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = zarr.open_group

    def beaten(store: str, *, mode: str, **arguments: Any) -> zarr.Group:
        group = original(store, mode=mode, **arguments)
        if mode == "a":
            # What zarr raises if the group appears between its look and its own attempt.
            raise ContainsGroupError(store, arguments["path"])
        return group

    monkeypatch.setattr(zarr, "open_group", beaten)
    assert open_group(str(tmp_path / "out.zarr"), "labels", "0.5").path == "labels"
