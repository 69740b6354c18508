"""A run changes no file that no run of bigunet wrote."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zarr

import bigunet
from bigunet import ClusterSpec, SegmentOptions
from bigunet.engine.runner import Runner
from bigunet.engine.stage import Stage
from bigunet.errors import BigUNetError, ClusterError, ImageError, OptionError, OutputError


@pytest.fixture
def image(tmp_path: Path) -> Path:
    array = zarr.create_array(
        str(tmp_path / "in.zarr"), shape=(90, 80), chunks=(32, 32), dtype="uint8"
    )
    array[:] = np.random.default_rng(0).integers(0, 256, (90, 80))
    return tmp_path / "in.zarr"


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("existing", ["resume", "overwrite"])
@pytest.mark.parametrize(
    "names",
    [
        ["bigunet/.git/HEAD", "thesis/chapter.tex"],  # a folder that holds a clone
        ["bigunet/__init__.py", "README.md"],  # the clone
        ["zarr.json", "labels/classes/0/zarr.json"],  # an output without its record
        ["bigunet/ledger.jsonl", "zarr.json", "notes.txt"],  # an output with notes
        ["bigunet/zarr.json", "labels/zarr.json"],  # an output without its ledger
    ],
)
def test_a_folder_with_anything_else_in_it_is_left_alone(
    existing, names, image, tiny_model, client, tmp_path
) -> None:
    target = tmp_path / "home"
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text("precious")
    before = tree(target)
    with pytest.raises(OutputError, match="will not be touched"):
        bigunet.segment(image, target, model=tiny_model, client=client, existing=existing)
    assert tree(target) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 300, "File name too long; choose a shorter name"),
        ("file/out.zarr", "file is a file, so .* cannot be made"),
        ("file/deep/out.zarr", "file is a file, so .* cannot be made"),
        ("loop", "loop is a link that leads nowhere"),
        ("loop/out.zarr", "loop is a link that leads nowhere"),
        ("dangling", "dangling is a link that leads nowhere"),
    ],
)
@pytest.mark.parametrize("existing", ["refuse", "resume", "overwrite"])
def test_an_impossible_place_is_refused_in_one_line_before_there_are_workers(
    name, message, existing, image, tiny_model, tmp_path
) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nothing")
    nobody = ClusterSpec(scheduler="tcp://127.0.0.1:9")
    with pytest.raises(OutputError, match=message) as caught:
        bigunet.segment(image, tmp_path / name, model=tiny_model, client=nobody, existing=existing)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("probabilities", OptionError, "overlap"),
        ("labels/classes", ImageError, "holds labels"),
    ],
)
def test_an_image_inside_the_output_is_not_overwritten(
    source, error, message, image, tiny_model, client, tmp_path
) -> None:
    target = tmp_path / "out.zarr"
    options = SegmentOptions(outputs=("classes", "probabilities"))
    bigunet.segment(image, target, model=tiny_model, client=client, options=options)
    before = tree(target)
    with pytest.raises(error, match=message):
        bigunet.segment(
            target / source, target, model=tiny_model, client=client, existing="overwrite",
            options=SegmentOptions(channels=(0,)),
        )  # fmt: skip
    assert tree(target) == before


def test_an_object_store_is_refused_before_anything_is_written(
    image, tiny_model, client, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match="give a local path"):
        bigunet.segment(image, "s3://bucket/out.zarr", model=tiny_model, client=client)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.zarr"]


@pytest.mark.slow
def test_overwriting_discards_nothing_until_there_are_workers(
    image, tiny_model, client, tmp_path
) -> None:
    target = tmp_path / "out.zarr"
    bigunet.segment(image, target, model=tiny_model, client=client)
    before = tree(target)
    with pytest.raises(ClusterError, match="no Dask scheduler"):
        bigunet.segment(
            image, target, model=tiny_model, existing="overwrite",
            client=ClusterSpec(scheduler="tcp://127.0.0.1:9"),
        )  # fmt: skip
    assert tree(target) == before


def test_a_relative_output_is_written_where_the_caller_stands(
    image, tiny_model, client, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = bigunet.segment("in.zarr", "out.zarr", model=tiny_model, client=client)
    assert report.output == str(tmp_path / "out.zarr")


@pytest.mark.parametrize("wrong", ["tcp://127.0.0.1:1", 3])
def test_a_wrong_client_is_refused_before_anything_is_written(
    wrong, image, tiny_model, tmp_path
) -> None:
    with pytest.raises(BigUNetError, match="client is"):
        bigunet.segment(image, tmp_path / "out.zarr", model=tiny_model, client=wrong)
    assert not (tmp_path / "out.zarr").exists()


_AT_WORK = threading.Event()
_MAY_END = threading.Event()


class _Slow:
    def __call__(self, index):
        _AT_WORK.set()
        _MAY_END.wait(20)
        return {"voxels": 1}


class _Quick:
    def __call__(self, index):
        assert _MAY_END.is_set(), "a block of an earlier run was still running"
        return {"voxels": 1}


class _NoLedger:
    """A ledger that only counts."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()

    def done(self, stage: str) -> set[int]:
        return self.numbers

    def append(self, stage: str, number: int, result) -> None:
        self.numbers.add(number)


def stage(work) -> Stage:
    return Stage("stage", 1, lambda: iter([(0,)]), lambda index: index[0], work)


def test_a_run_begins_when_blocks_left_by_another_are_done(client) -> None:
    first = stage(_Slow())
    with Runner(client, (first,), output="out", patient=False) as runner:
        threading.Thread(target=lambda: list(runner.run(first, _NoLedger())), daemon=True).start()
        assert _AT_WORK.wait(20)
    threading.Thread(target=lambda: (time.sleep(0.3), _MAY_END.set()), daemon=True).start()
    second = stage(_Quick())
    with Runner(client, (second,), output="out") as runner:
        events = list(runner.run(second, _NoLedger()))
    assert len(events) == 2


def test_a_damaged_ledger_is_refused_in_one_line(image, tiny_model, client, tmp_path) -> None:
    target = tmp_path / "out.zarr"
    bigunet.segment(image, target, model=tiny_model, client=client)
    with (target / "bigunet" / "ledger.jsonl").open("ab") as ledger:
        ledger.write(b"\0" * 40 + b"\n")
    with pytest.raises(BigUNetError, match="damaged"):
        bigunet.segment(image, target, model=tiny_model, client=client, existing="resume")
    report = bigunet.segment(image, target, model=tiny_model, client=client, existing="overwrite")
    assert report.blocks_done == 1
