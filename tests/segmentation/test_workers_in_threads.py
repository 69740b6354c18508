"""Small runs use threads of the calling process, and write the bytes that processes write."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import zarr
from support.stored import contents

from bigunet import ClusterSpec, SegmentOptions, TrainOptions, segment
from bigunet.errors import ClusterError
from bigunet.io.images.discovery import open_multiscale
from bigunet.machine import processes as guarding
from bigunet.segmentation.plan.worker_choice import settled, voxels_of
from bigunet.training.run.first_network import choose_loaders

BIG = 32_000_000


@pytest.mark.parametrize(
    ("spec", "voxels", "kind"),
    [
        (None, BIG - 1, "threads"),
        (None, BIG, "local"),
        (ClusterSpec(), 1, "threads"),
        (ClusterSpec(workers=1), 1, "threads"),
        (ClusterSpec(workers=2), 1, "local"),
        (ClusterSpec(host="127.0.0.1"), 1, "local"),  # accepts workers of other hosts
        (ClusterSpec("local"), 1, "local"),
        (ClusterSpec("threads"), BIG, "threads"),
    ],
)
def test_few_voxels_for_one_worker_use_threads(spec: Any, voxels: int, kind: str) -> None:
    resolved = settled(spec, "cpu", voxels)
    assert isinstance(resolved, ClusterSpec)
    assert resolved.kind == kind


def test_only_the_voxels_of_the_region_count(tmp_path: Path) -> None:
    zarr.create_array(
        tmp_path / "big.zarr", shape=(50, 5000, 4000), chunks=(1, 512, 512), dtype="u1"
    )
    image = open_multiscale(tmp_path / "big.zarr")
    axes = image.volume_axes
    assert voxels_of(image, SegmentOptions()) == 50 * 5000 * 4000
    part = SegmentOptions(roi={axes[0]: (3, 5), axes[2]: (100, 400)})
    assert voxels_of(image, part) == 2 * 5000 * 300


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_threads_and_processes_give_the_same_bytes(
    tmp_path: Path, tiny_model: Path, write_image: Any, one_thread: None
) -> None:
    write_image(tmp_path / "in.zarr", shape=(200, 170), chunks=(64, 64))
    options = SegmentOptions(outputs=("classes", "probabilities"), block_shape=(64, 64))
    for kind in ("threads", "local"):
        segment(
            tmp_path / "in.zarr",
            tmp_path / kind,
            model=tiny_model,
            options=options,
            client=ClusterSpec(kind),
        )
    # Torch has the settings of the caller again, also in threads that begin later.
    assert torch.get_num_threads() == 1
    for group in ("labels", "probabilities"):
        assert contents(tmp_path / "threads" / group) == contents(tmp_path / "local" / group)


def test_training_without_processes_draws_patches_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert choose_loaders(TrainOptions(), cpu) == 1
    # This is the state in a script without a guard.
    monkeypatch.setattr(guarding, "_why_not_imported", lambda path: "line 3 would run again")
    assert choose_loaders(TrainOptions(), cpu) == 0
    assert choose_loaders(TrainOptions(loaders=0), cpu) == 0
    with pytest.raises(ClusterError, match=r"line 3 would run again; put .* or give loaders=0"):
        choose_loaders(TrainOptions(loaders=2), cpu)


_SCRIPT = """
import sys
import bigunet
report = bigunet.segment({image!r}, {output!r}, model={model!r})
print(report.plan.region.shape, report.dashboard)
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["script", "stdin"])
def test_a_program_without_a_guard_segments_small_images(
    tmp_path: Path, tiny_model: Path, write_image: Any, way: str
) -> None:
    write_image(tmp_path / "in.zarr")
    done = run(tmp_path, way, image="in.zarr", output="out.zarr", model=tiny_model)
    assert (done.stdout, done.stderr, done.returncode) == ("(90, 70) \n", "", 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("script", "line 4 of script.py would run again in each"),
        ("stdin", "the program is <stdin>"),
    ],
)
def test_for_a_large_image_it_ends_with_a_line_that_shows_the_guard(
    tmp_path: Path, tiny_model: Path, way: str, reason: str
) -> None:
    zarr.create_array(tmp_path / "big.zarr", shape=(8000, 4001), chunks=(512, 512), dtype="u1")
    done = run(tmp_path, way, image="big.zarr", output="out.zarr", model=tiny_model)
    assert (done.stdout, done.returncode) == ("", 1)
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"bigunet.errors.ClusterError: cannot start processes: {reason}")
    assert 'put the call under `if __name__ == "__main__":`' in line
    assert "host" not in line
    assert not (tmp_path / "out.zarr").exists()


def run(folder: Path, way: str, **names: object) -> subprocess.CompletedProcess[str]:
    program = _SCRIPT.format(**{name: str(folder / str(value)) for name, value in names.items()})
    script = folder / "script.py"
    script.write_text(program)
    return subprocess.run(
        [sys.executable, "-" if way == "stdin" else script],
        input=program,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
    )
