"""Laws of a fingerprint: it changes if voxels change, but not if only times change."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zarr.storage import ZipStore

from bigunet.geometry import Box
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.identity import content_of
from bigunet.stores import stored_files
from bigunet.stores.access import open_array

SHAPE, CHUNK = (2, 40, 50), (1, 8, 8)


def write(path: Path, **options: Any) -> zarr.Array[Any]:
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    array = group.create_array("0", shape=SHAPE, chunks=CHUNK, dtype="uint8", **options)
    array[:] = np.random.default_rng(0).integers(1, 256, SHAPE)
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space"} for n in "yx")]
    scale = {"type": "scale", "scale": [1, 1, 1]}
    datasets = [{"path": "0", "coordinateTransformations": [scale]}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    return array


def content(path: object, **what: Any) -> dict[str, Any]:
    return content_of(open_multiscale(str(path)), **what).to_dict()


def difference(path: object, before: dict[str, Any], **what: Any) -> str:
    return content_of(open_multiscale(str(path)), **what).difference(before)


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    voxel=st.tuples(*(st.integers(0, n - 1) for n in SHAPE)),
    options=st.sampled_from([{}, {"shards": (1, 16, 16)}, {"compressors": None}]),
)
def test_a_change_of_any_voxel_is_noticed_and_its_file_is_named(
    voxel: tuple[int, ...], options: dict[str, Any], tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "in.zarr", ignore_errors=True)
    array = write(tmp_path / "in.zarr", **options)
    before = content(tmp_path / "in.zarr")
    assert difference(tmp_path / "in.zarr", before) == ""
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "in.zarr").rglob("*")}
    array[voxel] = array[voxel] ^ 1
    # The times of the files are set back.
    for path, time in times.items():
        os.utime(path, ns=(time, time))
    line = difference(tmp_path / "in.zarr", before)
    cell = "/".join(str(v // n) for v, n in zip(voxel, array.shards or array.chunks))
    assert line == f"{tmp_path}/in.zarr/0/c/{cell} changed"


def test_a_removed_or_added_chunk_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "in.zarr")
    path = tmp_path / "in.zarr/0/c/1/2/3"
    before = content(tmp_path / "in.zarr")
    path.rename(tmp_path / "aside")
    without = content(tmp_path / "in.zarr")
    assert difference(tmp_path / "in.zarr", before) == f"files of {tmp_path}/in.zarr are missing"
    (tmp_path / "aside").rename(path)
    assert difference(tmp_path / "in.zarr", without) == f"{path} changed"


def test_touched_or_copied_files_and_other_notes_do_not_matter(tmp_path: Path) -> None:
    write(tmp_path / "in.zarr")
    before = content(tmp_path / "in.zarr")
    shutil.copytree(tmp_path / "in.zarr", tmp_path / "copy")
    shutil.rmtree(tmp_path / "in.zarr")
    (tmp_path / "copy").rename(tmp_path / "in.zarr")
    for path in (tmp_path / "in.zarr").rglob("*"):
        os.utime(path, (1, 1))
    group = zarr.open_group(str(tmp_path / "in.zarr"))
    group.attrs["omero"] = {"rdefs": {}}
    group["0"].attrs["note"] = "looked at"
    assert difference(tmp_path / "in.zarr", before) == ""


def test_another_scale_is_another_image(tmp_path: Path) -> None:
    write(tmp_path / "in.zarr")
    before = content(tmp_path / "in.zarr")
    path = tmp_path / "in.zarr/zarr.json"
    text = "".join(path.read_text().split())
    path.write_text(text.replace('"scale":[1,1,1]', '"scale":[1,2,2]'))
    assert difference(tmp_path / "in.zarr", before).startswith("the metadata of ")


def test_files_that_are_not_read_may_change(tmp_path: Path) -> None:
    array = write(tmp_path / "in.zarr")
    what = {"channels": (1,), "region": Box((-9, -9), (8, 16))}
    before = content(tmp_path / "in.zarr", **what)
    array[0] = 0
    array[1, 8:] = 0
    array[1, :, 16:] = 0
    assert difference(tmp_path / "in.zarr", before, **what) == ""
    array[1, 7, 15] = 0
    assert (
        difference(tmp_path / "in.zarr", before, **what) == f"{tmp_path}/in.zarr/0/c/1/0/1 changed"
    )


def test_new_times_of_large_files_are_a_change_for_some_and_a_copy_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in.zarr", compressors=None)
    monkeypatch.setattr(stored_files, "_LOCAL_BYTES", 70 * 32)
    before = content(tmp_path / "in.zarr")
    chunks = sorted(path for path in (tmp_path / "in.zarr/0/c").rglob("*") if path.is_file())
    os.utime(chunks[7], (1, 1))
    line = difference(tmp_path / "in.zarr", before)
    assert line == f"{chunks[7]} has another time, and is too large to compare all its bytes"
    for path in chunks:
        os.utime(path, (2, 2))
    assert difference(tmp_path / "in.zarr", before) == ""
    # The first bytes of each file are compared.
    zarr.open_array(str(tmp_path / "in.zarr/0"), mode="r+")[1, 32, 40] = 0
    for path in chunks:
        os.utime(path, (2, 2))
    assert difference(tmp_path / "in.zarr", before) == f"{tmp_path}/in.zarr/0/c/1/4/5 changed"


def test_beyond_the_limit_of_files_the_same_sample_is_read_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = write(tmp_path / "in.zarr")
    monkeypatch.setattr(stored_files, "_MAX_LOCAL_FILES", 9)
    image = open_multiscale(str(tmp_path / "in.zarr"))
    before = content_of(image)
    assert len(set(before.newest)) == 9
    assert content_of(image).difference(before.to_dict()) == ""
    array[:] = 255 - array[:]
    assert content_of(image).difference(before.to_dict()) == f"{before.newest[0]} changed"


def test_hundreds_of_files_make_a_short_fingerprint(tmp_path: Path) -> None:
    array = zarr.create_array(
        str(tmp_path / "in.zarr"), shape=(700,) * 2, chunks=(20, 20), dtype="u1"
    )
    array[:] = 1
    before = content(tmp_path / "in.zarr")
    assert len(str(before)) < 5000
    array[699, 699] = 0
    line = difference(tmp_path / "in.zarr", before)
    assert line.startswith(f"{tmp_path}/in.zarr/c/34/34 (or one of ")


def test_a_store_that_is_not_local_is_read_through_its_keys(tmp_path: Path) -> None:
    write(tmp_path / "in.zarr")
    url = f"memory://identity-{os.getpid()}"
    target = zarr.create_array(
        f"{url}/0", shape=SHAPE, chunks=CHUNK, dtype="uint8", dimension_names=["z", "y", "x"]
    )
    target[:] = zarr.open_array(str(tmp_path / "in.zarr/0"))[:]
    before = content(f"{url}/0")
    assert difference(f"{url}/0", before) == ""
    voxel = (0, 0, 0)
    target[voxel] = target[voxel] ^ 1
    assert difference(f"{url}/0", before) == "c/0/0/0 changed"


def test_a_zip_is_one_file_and_its_end_changes_with_each_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only the end of the file, and some pieces of the rest, are read.
    monkeypatch.setattr(stored_files, "_LOCAL_BYTES", 20_000)

    def stamp(value: int) -> stored_files.Stamp:
        path = tmp_path / f"{value}.zip"
        voxels = np.ones((512, 512), np.uint8)
        voxels[250, 250] = value
        with ZipStore(path, mode="w") as store:
            array = zarr.create_array(
                store, shape=voxels.shape, chunks=(64, 64), dtype="u1", compressors=None
            )
            array[:] = voxels
        (stamp,) = stored_files.stamps_of(open_array(str(path)), lambda limit: [])
        assert not stamp.whole
        return stamp

    assert stamp(2).digest != stamp(3).digest
