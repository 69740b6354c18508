"""Laws of archives: they hold the files of a folder, metadata first, always as the same bytes."""

from __future__ import annotations

import json
import os
import threading
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ngff_zarr.rfc9_zip import read_ozx_json_first, read_ozx_version

from bigunet.errors import OutputError, StoppedError
from bigunet.io.output.archive import Packing, is_own_archive, plan_packing, write_archive

NAMES = st.sampled_from(["zarr.json", "0", "1", "c", "labels", "é", "table.parquet", "10"])
FILES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=4).map("/".join), st.binary(max_size=9), max_size=12
)


def keep_all(path: Path) -> bool:
    return False


def write(folder: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """Write those files of which the path is no folder of another, and give them."""
    folder.mkdir()
    written = {}
    for key, content in ({"zarr.json": b"{}"} | files).items():
        try:
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_bytes(content)
            written[key] = content
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            continue
    return written


def packed(folder: Path, path: Path) -> bytes:
    write_archive(plan_packing(folder, is_left_out=keep_all), path, version="0.6")
    return path.read_bytes()


@given(FILES)
def test_an_archive_holds_each_file_once_with_metadata_first_from_the_root_down(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    written = write(folder / "a.zarr", files)
    packed(folder / "a.zarr", folder / "a.ozx")
    with zipfile.ZipFile(folder / "a.ozx") as archive:
        infos = archive.infolist()
        assert {one.filename: archive.read(one) for one in infos} == written
        assert len(infos) == len(written)
        assert archive.testzip() is None
    assert all(one.compress_type == zipfile.ZIP_STORED for one in infos)
    assert [one.header_offset for one in infos] == sorted(one.header_offset for one in infos)
    names = [one.filename for one in infos]
    depths = [name.count("/") for name in names if Path(name).name == "zarr.json"]
    assert names[0] == "zarr.json"
    assert depths == sorted(depths)
    assert all(Path(name).name == "zarr.json" for name in names[: len(depths)])
    assert (folder / "a.ozx").read_bytes()[4:6] == b"\x2d\x00"  # version 4.5: zip64


@given(FILES)
def test_the_same_files_give_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    written = write(folder / "a.zarr", files)
    write(folder / "b.zarr", dict(reversed(written.items())))
    for path in (folder / "b.zarr").rglob("*"):
        os.utime(path, (10**9, 10**9))
    assert packed(folder / "a.zarr", folder / "a.ozx") == packed(
        folder / "b.zarr", folder / "b.ozx"
    )


def test_an_archive_states_its_version_and_who_wrote_it(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", {})
    packed(tmp_path / "a.zarr", tmp_path / "new" / "a.ozx")
    path = tmp_path / "new" / "a.ozx"
    assert (read_ozx_version(path), read_ozx_json_first(path)) == ("0.6", True)
    assert is_own_archive(path)
    with zipfile.ZipFile(tmp_path / "other.ozx", "w") as other:
        other.comment = json.dumps({"ome": {"version": "0.5"}}).encode()
    (tmp_path / "text.ozx").write_text("no archive")
    others = ("other.ozx", "text.ozx", "missing.ozx", "a.zarr")
    assert not any(is_own_archive(tmp_path / name) for name in others)


def test_temporary_files_and_what_the_caller_says_are_left_out(tmp_path: Path) -> None:
    partial = f"0/c/0.{'a' * 32}.partial"
    files = {
        partial: b"",
        "tables/.t.partial/zarr.json": b"",
        "log/a": b"",
        "in/log/b": b"",
        "0/1": b"x",
    }
    write(tmp_path / "a.zarr", files)
    packing = plan_packing(tmp_path / "a.zarr", is_left_out=lambda path: path.name == "log")
    assert packing == Packing(tmp_path / "a.zarr", ("zarr.json", "0/1"), 3)


def test_a_stopped_or_failed_archive_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", {"0": b"x"})
    (tmp_path / "a.ozx").write_bytes(b"before")
    packing, stop = plan_packing(tmp_path / "a.zarr", is_left_out=keep_all), threading.Event()
    stop.set()
    with pytest.raises(StoppedError, match="stopped as asked before"):
        write_archive(packing, tmp_path / "a.ozx", version="0.5", stop=stop)
    (tmp_path / "a.zarr" / "0").unlink()
    with pytest.raises(OutputError, match="cannot write"):
        write_archive(packing, tmp_path / "a.ozx", version="0.5")
    assert (tmp_path / "a.ozx").read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ozx", "a.zarr"]


def test_what_an_archive_cannot_hold_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", {})
    (tmp_path / "a.zarr" / "labels").symlink_to(tmp_path)
    with pytest.raises(OutputError, match=r"a.zarr/labels is a link to a folder"):
        plan_packing(tmp_path / "a.zarr", is_left_out=keep_all)
    write(tmp_path / "b.zarr", {"more/b.ozx": b""})
    with pytest.raises(OutputError, match=r"b.zarr/more/b.ozx is an archive itself"):
        plan_packing(tmp_path / "b.zarr", is_left_out=keep_all)
    (tmp_path / "c.zarr").mkdir()
    with pytest.raises(OutputError, match=r"c.zarr has no zarr.json"):
        plan_packing(tmp_path / "c.zarr", is_left_out=keep_all)
