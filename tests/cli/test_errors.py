"""What goes wrong is said in one line on stderr, with exit code 1 or 2, and nothing on stdout."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import zarr
from distributed import Client

BIGUNET = Path(sys.executable).with_name("bigunet")
Arguments = list[object]


class Place:
    """A folder with an image, and the arguments that segment it."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.model = folder, model
        self.image, self.output = folder / "in.zarr", folder / "out.zarr"

    def segment(self, *options: object, **changes: object) -> Arguments:
        given: dict[str, object] = {"image": self.image, "output": self.output, "model": self.model}
        given |= changes
        return ["segment", given["image"], given["output"], "--model", given["model"], *options]


@pytest.fixture
def place(tmp_path: Path, tiny_model: Path, write_image: Any) -> Place:
    write_image(tmp_path / "in.zarr", chunks=(32, 32))
    return Place(tmp_path, tiny_model)


def assert_refused(outcome: Any, *words: str) -> None:
    assert len(outcome.messages) == 1, outcome.err
    assert outcome.messages[0].startswith("Error: ")
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert outcome.code == 1
    for word in words:
        assert word in outcome.messages[0]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def a_file(place: Place) -> Path:
    path = place.folder / "notes.txt"
    path.write_text("no image")
    return path


def a_folder(place: Place) -> Path:
    a_file(place)
    return place.folder


def broken_json(place: Place) -> Path:
    (place.image / ".zattrs").write_text('{"multiscales": [')
    return place.image


def missing_level(place: Place) -> Path:
    shutil.rmtree(place.image / "0")
    return place.image


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda place: place.folder / "none.zarr", ("none.zarr", "does not exist")),
        (a_folder, ("give one of", "in.zarr")),
        (a_file, ("notes.txt",)),
        (broken_json, ("in.zarr",)),
        (missing_level, ("'0'", "missing")),
    ],
)
@pytest.mark.parametrize("command", ["segment", "plan", "info"])
def test_an_input_that_is_no_image_is_said_in_one_line(
    bigunet: Any,
    place: Place,
    command: str,
    make: Callable[[Place], Path],
    words: tuple[str, ...],
) -> None:
    source = make(place)
    given: dict[str, Arguments] = {
        "segment": place.segment(image=source),
        "plan": ["plan", source, "--model", place.model],
        "info": ["info", source],
    }
    assert_refused(bigunet(*given[command], "--json"), *words)
    assert not place.output.exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--split-radius", "900"], "Error: --split-radius 900: give 1 to 200 voxels"),
        (["--object-threshold=2"], "Error: --object-threshold 2.0: give a number above 0"),
        (["--roi", "x=5:5"], "Error: --roi x=5:5: give 0 <= START < STOP"),
        (["--roi", "x=0:999"], "Error: --roi x=0:999: the level has 70 voxels there"),
        (["--channel", "7", "--tta"], "Error: "),
    ],
)
def test_an_option_is_named_as_it_was_typed(
    bigunet: Any, place: Place, words: list[str], line: str
) -> None:
    assert bigunet(*place.segment(*words)).messages[0].startswith(line)


def test_channels_must_fit_the_model(bigunet: Any, place: Place, write_image: Any) -> None:
    write_image(place.image, "cyx", metadata={"channels": ["DAPI", "GFP"]})
    assert_refused(bigunet(*place.segment()), "reads 1 channel(s)", "0 'DAPI', 1 'GFP'")
    two = ["--channel", "0", "--channel", "1"]
    assert_refused(bigunet(*place.segment(*two)), "2 were chosen")
    assert_refused(bigunet(*place.segment("--channel", "RFP")), "'RFP'", "0 'DAPI', 1 'GFP'")
    assert_refused(bigunet(*place.segment("--channel", "2")), "'2'", "0 'DAPI', 1 'GFP'")
    assert_refused(bigunet(*place.segment("--channel", "-1")), "'-1'", "0 'DAPI', 1 'GFP'")


def test_a_model_of_two_channels_refuses_an_image_of_one(
    bigunet: Any, place: Place, write_model: Any
) -> None:
    model = write_model(place.folder / "two.safetensors", in_channels=2)
    assert_refused(bigunet(*place.segment(model=model)), "reads 2 channel(s)", "stain 1")


def test_a_model_must_be_known_and_whole(bigunet: Any, place: Place) -> None:
    assert_refused(bigunet(*place.segment(model="no-such")), "'no-such'", "bundled")
    broken = place.folder / "broken.safetensors"
    broken.write_bytes(place.model.read_bytes()[:-100])
    assert_refused(bigunet(*place.segment(model=broken)), "broken.safetensors")
    broken.write_bytes(b"")
    assert_refused(bigunet(*place.segment(model=broken)), "broken.safetensors")
    assert_refused(bigunet("info", broken), "broken.safetensors")
    assert_refused(bigunet(*place.segment(model=place.folder)), str(place.folder))


def test_a_misspelt_model_is_not_taken_for_a_missing_image(bigunet: Any) -> None:
    words = "nucle does not exist here", "bundled: em-boundaries, nuclei", "did you mean nuclei?"
    assert_refused(bigunet("info", "nucle"), *words)
    assert_refused(bigunet("info", "qqqq"), "bundled: em-boundaries, nuclei)")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--roi", "x=60:80"], ("x=60:80", "70 voxels")),
        (["--roi", "z=0:1"], ("z=0:1", "axes y, x")),
        (["--roi", "x=5:5"], ("x=5:5",)),
        (["--level", "1"], ("no level 1", "0 (90, 70)")),
        (["--level", "-1"], ("no level -1",)),
        (["--level", "one"], ("'one'",)),
        (["--precision", "fp8"], ("'fp8'", "fp32")),
        (["--output", "outlines"], ("'outlines'", "classes")),
        (["--output", "classes", "--output", "classes"], ("once",)),
        (["--ome-version", "0.3"], ("'0.3'", "0.5")),
        (["--performance-report", "no-folder/a.html"], ("no-folder/a.html", "cannot write")),
        (["--block-shape", "64"], ("64", "2")),
        (["--block-shape", "0,64"], ("(0, 64)", "at least 1")),
        (["--block-shape", "a,b"], ("'a,b'", "512,512")),
        (["--tile-shape", "64,64,64"], ("64, 64, 64", "3 axes")),
        (["--workers", "0"], ("0 workers",)),
        (["--cluster", "cloud"], ("'cloud'", "local")),
    ],
)
def test_an_option_that_does_not_fit_is_said_in_one_line(
    bigunet: Any, place: Place, options: list[str], words: tuple[str, ...]
) -> None:
    assert_refused(bigunet(*place.segment(*options)), *words)
    assert not place.output.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["segment"],
        ["segment", "in.zarr", "out.zarr", "more.zarr"],
        ["segment", "in.zarr", "out.zarr", "--no-such"],
        ["segment", "in.zarr", "out.zarr", "--model"],
        ["info", "--colour"],
        ["fly"],
    ],
)
def test_bad_usage_exits_with_2(bigunet: Any, arguments: list[str]) -> None:
    outcome = bigunet(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "Error: " in outcome.err
    assert "Traceback" not in outcome.err


def test_a_missing_scheduler_is_said_in_one_line(bigunet: Any, place: Place) -> None:
    away = place.folder / "none.json"
    assert_refused(bigunet(*place.segment("--scheduler", away)), "no Dask scheduler", "none.json")


def test_an_output_that_exists_is_left_alone(bigunet: Any, place: Place, client: Client) -> None:
    run = place.segment("--scheduler", client.scheduler.address)
    assert bigunet(*run).code == 0
    before = files_of(place.output)
    assert_refused(bigunet(*run), "--resume", "--overwrite", "out.zarr")
    assert files_of(place.output) == before
    assert bigunet(*run, "--overwrite").code == 0
    stored = zarr.open_group(place.output, mode="r")["labels/classes/0"]
    assert np.bincount(np.asarray(stored).ravel()).all()


@pytest.mark.parametrize("option", ["--overwrite", "--resume"])
def test_what_bigunet_did_not_write_is_never_touched(
    bigunet: Any, place: Place, write_image: Any, option: str
) -> None:
    write_image(place.output)
    before = files_of(place.output)
    assert_refused(bigunet(*place.segment(option)), "out.zarr")
    assert files_of(place.output) == before
    shutil.rmtree(place.output)
    place.output.write_text("a file")
    assert_refused(bigunet(*place.segment(option)), "out.zarr")
    assert place.output.read_text() == "a file"


@pytest.mark.parametrize("option", [[], ["--overwrite"], ["--resume"]])
def test_the_output_may_not_be_the_input(bigunet: Any, place: Place, option: list[str]) -> None:
    before = files_of(place.image)
    link = place.folder / "link.zarr"
    link.symlink_to(place.image)
    for same in (place.image, f"{place.folder}/./in.zarr/", link):
        assert_refused(bigunet(*place.segment(*option, output=same)), "overlap")
    assert files_of(place.image) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--block-shape", "32,32"], ("--block-shape was 64,64, is 32,32",)),
        (["--roi", "x=0:64"], ("--roi x was not given, is 0:64",)),
        (["--output", "probabilities"], ("--output was classes, is probabilities",)),
        (["--precision", "bf16"], ("--precision was fp32, is bf16",)),
        (["--grey-range", "2:255"], ("--grey-range was not given, is 2:255",)),
        (["--tta"], ("--tta was not given, is given",)),
        (["--ome-version", "0.4"], ("--ome-version was 0.5, is 0.4",)),
    ],
)
def test_resuming_with_other_options_names_the_difference(
    bigunet: Any, place: Place, client: Client, changes: list[str], words: tuple[str, ...]
) -> None:
    run = place.segment("--scheduler", client.scheduler.address, "--block-shape", "64,64")
    assert bigunet(*run).code == 0
    before = files_of(place.output)
    assert_refused(bigunet(*run, "--resume", *changes), "cannot resume", "--overwrite", *words)
    assert files_of(place.output) == before


def test_resuming_with_another_model_names_both(
    bigunet: Any, place: Place, client: Client, write_model: Any
) -> None:
    address = client.scheduler.address
    assert bigunet(*place.segment("--scheduler", address)).code == 0
    other = write_model(place.folder / "other.safetensors", width=5)
    outcome = bigunet(*place.segment("--scheduler", address, "--resume", model=other))
    assert_refused(outcome, "model was tiny", "is other")


def looks_whole(output: Path) -> bool:
    return "multiscales" in str(zarr.open_group(output, mode="r").attrs.asdict())


def assert_finishes(bigunet: Any, place: Place, *run: object) -> None:
    """Resuming gives what an undisturbed run gives."""
    assert bigunet(*run, "--resume").code == 0
    assert looks_whole(place.output)
    undisturbed = place.folder / "undisturbed.zarr"
    again = [undisturbed if argument == place.output else argument for argument in run]
    assert bigunet(*again).code == 0
    for level in (undisturbed / "labels/classes").glob("[0-9]"):
        labels = zarr.open_array(place.output / "labels/classes" / level.name, mode="r")[...]
        np.testing.assert_array_equal(labels, zarr.open_array(level, mode="r")[...])
    assert not list(place.output.rglob("*.partial"))


def test_a_corrupt_chunk_names_its_block_and_once_it_is_whole_the_run_begins_anew(
    bigunet: Any, place: Place, client: Client
) -> None:
    address = client.scheduler.address
    # The grey range is measured on the region; the chunk beside it is read for its context alone.
    region = "--roi", "x=0:32", "--roi", "y=0:32"
    run = place.segment("--scheduler", address, "--block-shape", "16,16", "--json", *region)
    chunk = place.image / "0/1/1"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:10])
    assert_refused(bigunet(*run), "segment block (", "in.zarr/0")
    assert not looks_whole(place.output)
    assert bigunet("info", place.output, "--json").json["kind"] == "unfinished output"
    assert_refused(bigunet("verify", place.image, place.output), "not a finished output")
    chunk.write_bytes(whole)
    # Which blocks saw the other bytes is not known.
    assert_refused(bigunet(*run, "--resume"), "changed since it was begun", "--overwrite")
    done = bigunet(*run, "--overwrite")
    assert done.code == 0, done.err
    assert looks_whole(place.output)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, that can be made larger or read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small disk needs root")
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this machine does not let its root mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def test_a_full_disk_is_said_in_one_line_and_can_be_resumed(
    bigunet: Any, place: Place, client: Client, small_disk: Path
) -> None:
    place.output = small_disk / "out.zarr"
    filler = small_disk / "filler"
    filler.write_bytes(bytes(2**20 - 60 * 2**10))
    outputs = ["--output", "classes", "--output", "probabilities"]
    run = place.segment("--scheduler", client.scheduler.address, "--block-shape", "16,16", *outputs)
    assert_refused(bigunet(*run), "No space left")
    assert not looks_whole(place.output)
    remount(small_disk, "size=8m")
    assert_finishes(bigunet, place, *run)


def test_a_disk_full_from_the_start_and_a_read_only_one_are_said_in_one_line(
    bigunet: Any, place: Place, client: Client, small_disk: Path
) -> None:
    place.output = small_disk / "out.zarr"
    run = place.segment("--scheduler", client.scheduler.address)
    (small_disk / "filler").write_bytes(bytes(2**20))
    assert_refused(bigunet(*run), "out.zarr", "No space left")
    remount(small_disk, "ro")
    assert_refused(bigunet(*run, "--resume"), "out.zarr", "ead-only")
    assert_refused(bigunet(*place.segment(output=small_disk / "new.zarr")), "new.zarr", "ead-only")
    remount(small_disk, "rw,size=8m")
    assert_finishes(bigunet, place, *run)


def test_debug_shows_the_traceback(bigunet: Any, place: Place) -> None:
    for arguments in (["--debug", "info", "none.zarr"], ["info", "none.zarr", "--debug"]):
        outcome = bigunet(*arguments)
        assert outcome.code == 1
        assert "Traceback" in outcome.err
        assert outcome.messages[-1].startswith("Error: ")


def test_a_process_refuses_in_one_line_too(bigunet_process: Any, place: Place) -> None:
    assert_refused(bigunet_process(*place.segment(model="no-such")), "'no-such'")
    assert bigunet_process("segment", "--no-such").code == 2


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["threads", "local"])
def test_an_interrupted_run_says_so_leaves_no_process_and_can_be_resumed(
    bigunet: Any, place: Place, client: Client, write_image: Any, cluster: str
) -> None:
    write_image(place.image, shape=(240, 256), chunks=(128, 128))
    report = place.image.with_name("report.html")
    run = place.segment("--block-shape", "16,16", "--performance-report", report)
    process = subprocess.Popen(
        [BIGUNET, *map(str, run), "--cluster", cluster],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        children = wait_for_blocks(process, place.output / "bigunet/ledger.jsonl")
        assert bool(children) == (cluster == "local")
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    # The empty line ends that of the terminal's ^C.
    lines = [line for line in err.splitlines() if line and not line.startswith("dashboard: ")]
    assert process.returncode == 130, err
    assert len(lines) == 1, err
    assert "--resume" in lines[0]
    assert out == ""
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert not looks_whole(place.output)
    assert "Task Stream" in report.read_text()
    assert_finishes(bigunet, place, *run, "--scheduler", client.scheduler.address)


def wait_for_blocks(process: subprocess.Popen[str], ledger: Path) -> list[psutil.Process]:
    """Until some blocks are recorded; then the process's children."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        if ledger.is_file() and ledger.read_bytes().count(b"\n") > 5:
            return psutil.Process(process.pid).children(recursive=True)
        time.sleep(0.02)
    raise AssertionError(f"no block was done in time; exit {process.poll()}")
