"""What predict refuses, in one line that says what to do; and what it leaves behind: nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from distributed import Client

import bigunet
from bigunet import ClusterSpec
from bigunet.arrays import reach
from bigunet.errors import ImageError, OptionError, OutputError

PLANE = np.arange(30 * 40, dtype="u2").reshape(30, 40)


@pytest.mark.parametrize(
    ("array", "given", "says"),
    [
        (np.zeros((3, 30, 40)), {}, 'what its 3 are, with axes="cyx" if channels, with axes="zyx"'),
        (np.zeros((30, 40, 3)), {}, 'axes="yxc" if it is colours'),
        (
            xr.DataArray(PLANE),
            {},
            "'dim_0' is unknown; .* state the axes with axes, such as axes=\"zyx\"",
        ),
        (PLANE, {"axes": "zyx"}, "has shape .30, 40.; the axes zyx are 3"),
        (PLANE, {"axes": "yq"}, "axes 'yq': give y and x"),
        (PLANE, {"axis": "yx"}, r"^predict\(\) has no keyword 'axis'; did you mean axes\?"),
        (PLANE, {"level": 1}, "level 1: an array has level 0 alone; leave it out"),
        (PLANE, {"skip_empty": True}, "skip_empty is for stored chunks"),
        (
            PLANE,
            {"most_bytes": 1000},
            "would take .* and most_bytes is .* use bigunet.segment with paths",
        ),
        (PLANE, {"scratch": "no/such/folder"}, "which is no folder; give one that exists"),
        (PLANE, {"channels": [1]}, "the array"),
        (PLANE.astype(complex), {}, "has dtype complex128"),
        ([[1, 2]], {}, "the array is of the type list; give an array of numbers"),
        ("image.zarr", {}, "array is a path: bigunet.segment takes paths"),
        (np.full((30, 40), np.nan), {}, "the array"),
    ],
)
def test_what_is_unclear_is_refused_in_a_line_about_the_array(
    array: Any, given: dict[str, Any], says: str, tiny_model: Path, tmp_path: Path, client: Client
) -> None:
    given = {"scratch": tmp_path, **given}
    with pytest.raises((OptionError, ImageError), match=says) as refused:
        bigunet.predict(array, tiny_model, client=client, **given)
    assert "\n" not in str(refused.value)
    assert "bigunet-array-" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_segment_without_an_output_and_plan_name_predict_for_an_array() -> None:
    with pytest.raises(OptionError, match=r"give the path of an output, or use bigunet\.predict"):
        bigunet.segment(PLANE)
    with pytest.raises(OptionError, match=r"type ndarray: .*; bigunet\.predict segments an ar"):
        bigunet.plan(PLANE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "workers",
    [ClusterSpec(scheduler="tcp://host:8786"), ClusterSpec("slurm", workers=2)],
)
def test_workers_elsewhere_need_a_folder_that_they_see(workers: ClusterSpec) -> None:
    with pytest.raises(OptionError, match="on other machines: give scratch=FOLDER, a folder that"):
        bigunet.predict(PLANE, client=workers)


def test_a_client_of_this_machine_sees_its_files(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach.check_reach(client, None)
    monkeypatch.setattr(reach, "_own_hosts", lambda: {"10.0.0.1"})
    reach.check_reach(client, "/shared")
    with pytest.raises(OptionError, match="workers of the client are on other machines"):
        reach.check_reach(client, None)


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_written(
    tmp_path: Path, tiny_model: Path
) -> None:
    sparse = da.zeros((10**7, 10**7), chunks=10**4, dtype="u1")
    with pytest.raises(OutputError, match=r"up to .* GB in .*; give another folder as scratch"):
        bigunet.predict(sparse, tiny_model, scratch=tmp_path, most_bytes=10**18)
    assert list(tmp_path.iterdir()) == []


class Failing(Exception):
    """Raised by what a caller gives."""


@pytest.mark.parametrize("error", [Failing, KeyboardInterrupt])
@pytest.mark.parametrize("when", ["the array is read", "a block is done"])
def test_nothing_is_left_after_an_error_or_an_interrupt(
    when: str, error: type[BaseException], tiny_model: Path, client: Client, tmp_path: Path
) -> None:
    seen: list[Path] = []

    def fail(*_: object) -> Any:
        seen.extend(tmp_path.glob("*/*"))
        raise error()

    class Array(np.ndarray):
        __getitem__ = fail

    given: dict[str, Any] = {"on_event": fail} if when == "a block is done" else {}
    array = PLANE if given else PLANE.view(Array)
    with pytest.raises(error):
        bigunet.predict(array, tiny_model, client=client, scratch=tmp_path, **given)
    assert seen, "it never came so far"
    assert list(tmp_path.iterdir()) == []


_SCRIPT = """
import sys, time
import numpy as np
import bigunet

def slow(event):
    print("begun", flush=True)
    time.sleep(60)

bigunet.predict(np.zeros((30, 40), "u2"), sys.argv[1], scratch=sys.argv[2], on_event=slow)
"""


@pytest.mark.slow
def test_ctrl_c_leaves_nothing(tiny_model: Path, tmp_path: Path) -> None:
    script, scratch = tmp_path / "script.py", tmp_path / "scratch"
    script.write_text(_SCRIPT)
    scratch.mkdir()
    words = [sys.executable, str(script), str(tiny_model), str(scratch)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        assert list(scratch.iterdir())
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        process.communicate(timeout=60)
    assert time.monotonic() - begun < 50
    assert list(scratch.iterdir()) == []


def test_a_result_keeps_the_coordinates_of_its_array_but_those_of_channels(
    tiny_model: Path, client: Client
) -> None:
    array = xr.DataArray(
        np.stack([PLANE, PLANE]),
        dims=("channel", "row", "col"),
        coords={
            "channel": ["DAPI", "GFP"],
            "row": ("row", np.arange(30) * 0.5, {"units": "um"}),
            "col": ("col", np.arange(40) * 0.5, {"units": "um"}),
            "shade": (("channel", "row"), np.zeros((2, 30))),
            "well": "A01",
        },
        attrs={"units": "counts"},
        name="grey",
    )
    made = bigunet.predict(
        array, tiny_model, client=client, channels=["GFP"], outputs=["classes", "probabilities"]
    )
    plain = bigunet.predict(
        array.values, tiny_model, axes="cyx", client=client, channels=[1], voxel_size_um=0.5
    )
    assert isinstance(made.classes, xr.DataArray)
    assert (made.classes.name, made.classes.dims, made.classes.attrs) == (
        "classes", ("row", "col"), {},
    )  # fmt: skip
    assert set(made.classes.coords) == {"row", "col", "well"}
    xr.testing.assert_identical(
        made.classes.coords["row"].drop_vars("well"), array.coords["row"].drop_vars("well")
    )
    np.testing.assert_array_equal(made.classes.values, plain.classes)
    assert made.probabilities.dims == ("class", "row", "col")
    assert made.probabilities.coords["class"].values.tolist() == [
        "background",
        "class 1",
        "class 2",
    ]
    assert made.report.plan.voxel_size_um == plain.report.plan.voxel_size_um == (0.5, 0.5)
    assert array.attrs == {"units": "counts"}


def test_xarray_is_not_imported_for_other_arrays(tiny_model: Path, tmp_path: Path) -> None:
    program = (
        "import sys, numpy as np, bigunet\n"
        "from bigunet.segmentation.predict import predict\n"
        "from bigunet.arrays.given_array import GivenArray\n"
        "GivenArray.of(np.zeros((5, 6)), '', None)\n"
        "assert 'xarray' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, timeout=120)


def test_a_zarr_array_gives_what_its_path_gives(
    tiny_model: Path, client: Client, tmp_path: Path
) -> None:
    array = zarr.create_array(tmp_path / "in.zarr", shape=(30, 40), chunks=(16, 16), dtype="u2")
    array[:] = PLANE + 1
    bigunet.segment(tmp_path / "in.zarr", tmp_path / "out.zarr", model=tiny_model, client=client)
    made = bigunet.predict(array, tiny_model, client=client)
    written = zarr.open_array(tmp_path / "out.zarr/labels/classes/0", mode="r")[...]
    np.testing.assert_array_equal(made.classes, written)
