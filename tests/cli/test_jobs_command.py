"""``bigunet jobs slurm``: what it passes on, what it measures, and what it refuses."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bigunet_cli.declared_options import described
from bigunet_cli.main import cli
from bigunet_cli.segment import segment

from bigunet import SegmentOptions
from bigunet.segmentation.segment_words import segment_words


class Printed:
    """A script that was printed."""

    def __init__(self, outcome: Any) -> None:
        assert outcome.code == 0, outcome.err
        self.text: str = outcome.out

    @property
    def words(self) -> list[str]:
        """Of the command that segments, as bash reads them."""
        match = re.search(r"^\S*bigunet segment (.*?) &$", self.text, re.DOTALL | re.MULTILINE)
        assert match
        return shlex.split(match[1].replace("\\\n", " "))

    def directive(self, name: str) -> str:
        match = re.search(rf"^#SBATCH --{name}=(.*)$", self.text, re.MULTILINE)
        assert match, name
        return match[1]


@pytest.fixture
def image(tmp_path: Path, write_image: Any) -> Path:
    path = tmp_path / "in.zarr"
    write_image(path, shape=(900, 700), chunks=(256, 256))
    return path


@pytest.fixture
def jobs(bigunet: Any, image: Path, tiny_model: Path, tmp_path: Path) -> Any:
    def run(*options: object) -> Any:
        return bigunet(
            "jobs", "slurm", image, tmp_path / "out.zarr", "--model", tiny_model, *options
        )

    return run


FEW = ("--block-shape", "128,128")


def test_segment_reads_places_and_model_from_the_words() -> None:
    options = SegmentOptions(level=2, mask="/a mask.zarr")
    words = segment_words("/in.zarr", "/out.zarr", "/m.safetensors", options)
    # With the settings of the group, as when the command runs.
    context = segment.make_context("segment", words, **cli.context_settings)
    assert described(SegmentOptions, context.params) == options
    assert context.params["sources"] == ("/in.zarr", "/out.zarr")
    assert context.params["model"] == "/m.safetensors"


def test_a_channels_number_stays_an_index_in_the_words() -> None:
    options = SegmentOptions(channels=(1, "1"))
    words = segment_words("/in.zarr", "/out.zarr", "nuclei", options)
    assert words[2:] == ["--channel=index:1", "--channel=1"]


def test_the_script_has_what_was_given_and_paths_that_hold_anywhere(
    jobs: Any, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, bigunet: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = Printed(
        bigunet(
            "jobs", "slurm", "in.zarr", "out.zarr", "--model", tiny_model, *FEW, "--tta",
            "--roi", "x=0:512", "--hours", "2", "--jobs", "4", "--partition", "short",
        )
    )  # fmt: skip
    words = printed.words
    assert words[:3] == [
        str(tmp_path / "in.zarr"), str(tmp_path / "out.zarr"), f"--model={tiny_model}",
    ]  # fmt: skip
    assert {"--tta", "--roi=x=0:512", "--block-shape=128,128"} <= set(words)
    assert not any(word.startswith(("--level", "--precision", "--device")) for word in words)
    assert words[-1] == "--part=$SLURM_ARRAY_TASK_ID/4"
    assert printed.directive("array") == "1-4"
    assert printed.directive("partition") == "short"
    assert "from --hours" in printed.text
    # Half an hour and a minute each, twice, and what ending takes.
    assert printed.directive("time") > "01:02:00"


def test_what_bigunet_takes_fits_into_the_memory_of_the_job(jobs: Any) -> None:
    def limit(printed: Printed) -> int:
        (word,) = (word for word in printed.words if word.startswith("--memory-limit="))
        return int(word.removeprefix("--memory-limit=").removesuffix("MB")) * 10**6

    few = (*FEW, "--hours", "2", "--jobs", "2")
    for printed in (
        Printed(jobs(*few)),
        Printed(jobs(*few, "--memory", "5GB")),
        Printed(jobs(*few, "--memory-limit", "3GB")),
        Printed(jobs(*few, "--workers", "3")),
    ):
        memory = int(printed.directive("mem").removesuffix("M")) * 2**20
        assert 0.5 * memory < limit(printed) < memory
    assert Printed(jobs(*few, "--memory", "5GB")).directive("mem") == "4768M"
    assert limit(Printed(jobs(*few, "--memory-limit", "3GB"))) == 3 * 10**9


def test_the_time_is_estimated_if_nobody_gives_it(jobs: Any) -> None:
    printed = Printed(jobs(*FEW, "--within", "2h"))
    assert printed.directive("array") == "1-1"
    assert "estimated from a few tiles on this machine" in printed.text
    assert printed.directive("time") == "00:10:00"
    unknown = Printed(jobs(*FEW, "--no-measure", "--jobs", "2", "--walltime", "1:00:00"))
    assert "nothing was measured" in unknown.text
    assert unknown.directive("signal") == "B:USR1@300"
    assert unknown.directive("time") == "01:00:00"


def test_gpus_are_asked_for_and_used(jobs: Any) -> None:
    few = (*FEW, "--hours", "2", "--gpus")
    one = Printed(jobs(*few, "1"))
    assert one.directive("gres") == "gpu:1"
    assert "--device=cuda" in one.words
    assert "--workers=1" not in one.words
    two = Printed(jobs(*few, "2")).words
    assert {"--device=cuda", "--cluster=cuda", "--workers=2"} <= set(two)
    nodes = Printed(jobs(*few, "2", "--way", "dask", "--jobs", "2"))
    assert "dask cuda worker" in nodes.text
    assert f"if ! {sys.executable} -c " in nodes.text
    assert "--cluster=cuda" not in nodes.words
    assert "--workers=2" in nodes.words


def test_a_container_or_the_environment_at_hand_runs_the_commands(jobs: Any) -> None:
    few = (*FEW, "--hours", "2", "--way", "dask")
    inside = Printed(jobs(*few, "--prefix", "apptainer exec 'my images/x.sif'")).text
    for command in ("bigunet segment", "dask scheduler", "dask worker"):
        assert re.search(rf"^\s*apptainer exec 'my images/x.sif' {command}", inside, re.MULTILINE)
    here = Printed(jobs(*few, "--env", "module load x")).text
    assert re.search(r"^/\S+/bigunet segment", here, re.MULTILINE)
    assert "\nmodule load x\n" in here


def test_labels_can_go_into_the_image(bigunet: Any, image: Path, tmp_path: Path) -> None:
    zarr_04 = tmp_path / "in.zarr"
    printed = Printed(bigunet("jobs", "slurm", zarr_04, "--hours", "1", *FEW))
    assert printed.words[0] == str(zarr_04)
    assert printed.words[1].startswith("--")
    assert f"cat {zarr_04}/labels/classes/bigunet/*.jsonl" in printed.text
    subprocess.run(["bash", "-n"], input=printed.text, text=True, check=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--overwrite"], ("cannot overwrite", "remove the output first")),
        (["--overwrite", "--way", "dask"], ("cannot overwrite", "remove the output first")),
        (["--resume", "--overwrite"], ("give one of them",)),
        (["--tune"], ("--tune",)),
        (["--jobs", "2", "--within", "2h"], ("--jobs", "--within")),
        (["--jobs", "0"], ("0",)),
        (["--jobs", "49"], ("48 blocks",)),
        (["--within", "soon"], ("'soon'", "2h")),
        (["--within", "30s"], ("--within 00:00:30", "give more time")),
        (["--gpus", "1", "--jobs", "2"], ("no GPU is here", "--hours")),
        (["--gpus", "1", "--device", "cpu"], ("--device cpu",)),
        (["--device", "cuda"], ("--gpus N",)),
        (["--no-measure"], ("--hours", "--walltime")),
        (
            ["--no-measure", "--jobs", "2", "--walltime", "6:00"],
            ("--walltime 00:06:00", "00:06:00"),
        ),
        (["--memory", "1GB"], ("memory limit", "give more")),
        (["--memory", "3GB", "--memory-limit", "3GB"], ("--memory-limit 3 GB",)),
        (["--walltime", "1:00"], ("--walltime 00:01:00", "give more")),
        (["--channel", "3"], ("3",)),
        (["--model", "none"], ("'none'",)),
        (["--name", "a b"], ("--name",)),
        (["--scheduler", "x"], ("--scheduler",)),
    ],
)
def test_what_does_not_go_together_is_said_in_one_line(
    jobs: Any, options: list[str], words: tuple[str, ...], tmp_path: Path
) -> None:
    known = [] if {"--no-measure", "--gpus"} & set(options) else ["--hours", "1"]
    outcome = jobs(*FEW, *known, *options)
    assert outcome.code in (1, 2)
    assert outcome.out == ""
    line = outcome.messages[-1]
    assert line.startswith("Error: ")
    for word in words:
        assert word in line
    assert not (tmp_path / "out.zarr").exists()


def test_an_output_that_exists_or_a_plate_is_refused_before_a_job_waits_for_it(
    jobs: Any, bigunet: Any, tmp_path: Path, image: Path
) -> None:
    (tmp_path / "out.zarr").mkdir()
    (tmp_path / "out.zarr" / "mine").touch()
    for way in ("array", "dask"):
        outcome = jobs("--way", way, "--hours", "1", *FEW)
        assert (outcome.code, "exists" in outcome.err) == (1, True)
    plate = tmp_path / "plate.zarr"
    plate.mkdir()
    (plate / ".zgroup").write_text('{"zarr_format": 2}')
    (plate / ".zattrs").write_text('{"plate": {"wells": [{"path": "A/1"}], "version": "0.4"}}')
    outcome = bigunet("jobs", "slurm", plate)
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "each of its fields" in outcome.err
