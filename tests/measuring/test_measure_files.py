"""Measuring stored images: the table of the arrays, the same bytes for any blocks."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from support.stored_objects import objects, write_labelled, write_multiscale

import bigunet
from bigunet.measuring.measure_files import measure_files

SHAPES = {"yx": (40, 50), "zyx": (9, 30, 20), "tyx": (3, 25, 30), "tzyx": (2, 5, 20, 18)}


def written(folder: Path, axes: str, **stated: Any) -> tuple[Path, np.ndarray, np.ndarray]:
    labels = objects(SHAPES[axes])
    grey = np.random.default_rng(1).integers(0, 9999, (2, *labels.shape)).astype(np.uint16)
    write_labelled(folder / "image.zarr", labels, grey, axes, **stated)
    return folder / "image.zarr", labels, grey


@pytest.mark.parametrize("axes", SHAPES)
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_stored_images_give_the_table_of_their_arrays(
    tmp_path: Path, axes: str, version: str
) -> None:
    image, labels, grey = written(tmp_path, axes, version=version)
    frames = ["t"] if axes[0] == "t" else []
    arrays = bigunet.measure(labels, grey, frames=frames, voxel_size_um=0.5)
    stored = bigunet.measure(image / "labels" / "cells", image)
    assert [name.replace("stain", "") for name in stored] == list(arrays)
    for column, other in zip(stored.values(), arrays.values()):
        assert (column.dtype, column.tobytes()) == (other.dtype, other.tobytes())


@settings(max_examples=10)
@given(st.data(), st.sampled_from([".csv", ".parquet"]), st.sampled_from(sorted(SHAPES)))
def test_files_have_the_same_bytes_for_any_blocks(
    data: st.DataObject, suffix: str, axes: str
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        image, labels, _ = written(Path(folder), axes)
        shape = tuple(data.draw(st.integers(max(1, n // 3), n)) for n in labels.shape)
        first, second = (Path(folder, name + suffix) for name in "ab")
        measure_files(image, "cells", table=first)
        patch.setattr("bigunet.measuring.merging._BAND_ROWS", 4)
        measure_files(image, "cells", table=second, block_shape=shape)
        assert first.read_bytes() == second.read_bytes()


def test_the_table_goes_into_the_image_beside_its_boxes(tmp_path: Path) -> None:
    image, labels, grey = written(tmp_path, "tyx")
    done = measure_files(image, "cells", class_name="cell")
    assert (done.table, done.unit) == (str(image / "tables" / "cells"), "µm²")
    assert zarr.open_group(image / "tables").attrs["tables"] == ["cells", "cells_ROI_table"]
    read = pandas.read_parquet(image / "tables" / "cells" / "table.parquet")
    arrays = bigunet.measure(labels, grey, frames=["t"], voxel_size_um=0.5, class_name="cell")
    assert len(read) == done.num_objects == len(arrays["label"])
    assert done.median_size == np.median(arrays["area_um2"])
    for column, other in zip(read, arrays.values()):
        np.testing.assert_array_equal(read[column], other)
    attributes = zarr.open_group(image / "tables" / "cells").attrs.asdict()
    assert attributes["type"] == "feature_table"
    assert attributes["backend"] == "parquet"
    assert attributes["region"] == {"path": "../labels/cells"}
    boxes = pandas.read_parquet(image / "tables" / "cells_ROI_table" / "table.parquet")
    assert boxes["x_micrometer"].tolist() == (arrays["bbox-1"] * 0.5).tolist()
    lengths = arrays["bbox-2"] - arrays["bbox-0"]
    assert boxes["len_y_micrometer"].tolist() == (lengths * 0.5).tolist()
    assert boxes["t_second"].tolist() == arrays["t"].tolist()
    assert set(boxes["len_z_micrometer"]) == {1.0}


def test_without_pyarrow_the_table_in_the_image_is_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, _, _ = written(tmp_path, "zyx", version="0.4")
    monkeypatch.setattr("bigunet.measuring.image_tables.has_parquet", lambda: False)
    done = measure_files(image, image / "labels" / "cells" / "0")
    read = pandas.read_csv(image / "tables" / "cells" / "table.csv")
    assert len(read) == done.num_objects
    assert zarr.open_group(image / "tables" / "cells").attrs["backend"] == "csv"


def test_rows_are_written_in_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, _, _ = written(tmp_path, "yx")
    monkeypatch.setattr("bigunet.measuring.table._ROWS", 7)
    measure_files(image, "cells", table=tmp_path / "objects.parquet")
    file = parquet.ParquetFile(tmp_path / "objects.parquet")
    lengths = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
    assert len(lengths) > 2
    assert set(lengths[:-1]) == {7}


def test_an_image_without_units_has_sizes_in_voxels_and_no_boxes(tmp_path: Path) -> None:
    image, labels, _ = written(tmp_path, "yx", um=None)
    done = measure_files(image, "cells")
    assert done.unit == "voxels"
    assert not (image / "tables" / "cells_ROI_table").exists()
    assert measure_files(image, "cells", voxel_size_um=(2, 3)).median_size == done.median_size * 6
    assert len(np.unique(labels)) == done.num_objects + 1


def test_an_image_without_objects_has_an_empty_table(tmp_path: Path) -> None:
    write_labelled(tmp_path / "a.zarr", np.zeros((5, 6), int), np.ones((1, 5, 6)), "yx")
    done = measure_files(tmp_path / "a.zarr", "cells")
    assert done.num_objects == 0
    assert "intensity_mean-stain0" in pandas.read_parquet(f"{done.table}/table.parquet")


@pytest.mark.parametrize(
    ("labels", "options", "reason"),
    [
        ("image.zarr", {}, "has 2 channels; give labels of one"),
        ("other.zarr", {"table": "t.csv"}, "axes yx and the shape .8, 8.; the image .* no level"),
        ("cells", {"table": "t.xlsx"}, "cannot be written as t.xlsx; name it .csv or .parquet"),
        ("cells", {"level": 3}, "has no level 3; choose one of"),
        ("cells", {"voxel_size_um": (1, 2, 3)}, "a voxel has 3 sizes, the labels 2 axes"),
        ("copy.zarr", {}, "are not in labels/ of an image; give --table FILE.csv"),
        ("cells", {"table": "none/t.parquet"}, "none/t.parquet cannot be written: No such file"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    labels: str,
    options: dict[str, Any],
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    image, stored, _ = written(tmp_path, "yx")
    write_multiscale(tmp_path / "other.zarr", np.ones((8, 8), int), "yx")
    write_multiscale(tmp_path / "copy.zarr", stored, "yx")
    with pytest.raises(bigunet.BigUNetError, match=reason):
        measure_files(image, labels, **options)
    assert not (image / "tables").exists()


def test_labels_that_are_classes_are_refused(tmp_path: Path) -> None:
    image, _, _ = written(tmp_path, "yx")
    group = zarr.open_group(image / "labels" / "cells")
    names = [{"label-value": k, "class": name} for k, name in enumerate(("sky", "sea"))]
    ome = group.attrs["ome"]
    group.attrs["ome"] = ome | {"image-label": {"version": "0.5", "properties": names}}
    with pytest.raises(bigunet.BigUNetError, match=r"holds classes \(sky, sea\), not objects"):
        measure_files(image, "cells")


def test_boxes_of_one_plane_have_its_thickness_and_frames_their_time(tmp_path: Path) -> None:
    labels = objects((2, 1, 20, 18))
    write_labelled(tmp_path / "a.zarr", labels, np.ones((1, *labels.shape)), "tzyx", um=0.25)
    done = measure_files(tmp_path / "a.zarr", "cells")
    table = pandas.read_parquet(f"{done.table}/table.parquet")
    boxes = pandas.read_parquet(f"{done.table}_ROI_table/table.parquet")
    assert done.unit == "µm²"
    assert "z" not in table
    assert set(boxes["len_z_micrometer"]) == {0.25}
    assert boxes["t_second"].tolist() == table["t"].tolist()
