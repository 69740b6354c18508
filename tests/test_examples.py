"""The examples: their scripts can be run again, and say in one line what is missing."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from bigunet_cli.jobs import slurm
from bigunet_cli.main import cli
from bigunet_cli.segment import segment
from PIL import Image
from support.training_images import write_folders

import bigunet
from bigunet.engine.clusters.job_memory import job_memory_mib

EXAMPLES = Path(__file__).parents[1] / "examples"
STAND_IN = """#!/bin/sh
# Tells how it was called, and fails where it is told to.
echo "$@" >> "$CALLS"
case "$*" in *"$FAILS"*) exit 1 ;; esac
case "$*" in *--json*) echo '{}' ;; esac
"""


class Shell:
    """Runs the scripts with a stand-in for bigunet, and keeps what it was called with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = folder / "bin" / "bigunet"
        command.parent.mkdir()
        command.write_text(STAND_IN)
        command.chmod(0o755)

    def calls(self, script: str, *arguments: str, fails: str = "nothing does") -> list[str]:
        told = self.folder / "calls"
        told.write_text("")
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        ran = subprocess.run(
            ["sh", str(EXAMPLES / script), *arguments],
            env={"PATH": path, "CALLS": str(told), "FAILS": fails},
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
        )
        assert (ran.returncode == 0) == (fails == "nothing does")
        return told.read_text().splitlines()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.parametrize(
    ("script", "fails", "done", "left"),
    [
        ("isbi2012/few.sh", "segment data/scored/images.zarr out/5.zarr", "out/1.", "out/5."),
        ("isbi2012/networks.sh", "evaluate out/fcn.zarr", "out/unet.", "out/fcn."),
        ("nuclei/weight_map.sh", "--border-weight 0 --overwrite", "weight-10.", "weight-0."),
        ("nuclei/bundled.sh", "--from out/second.safe", "--out out/first.", "--out out/nuclei"),
    ],
)
def test_a_comparison_that_was_cut_off_goes_on(
    shell: Shell, script: str, fails: str, done: str, left: str
) -> None:
    first = shell.calls(script, "data", "out", fails=fails)
    assert done in first[0]
    assert left in first[-1]
    again = shell.calls(script, "data", "out")
    assert left in again[0]
    assert not any(done in call for call in again)
    assert all("--overwrite" in call for call in again if not call.startswith("evaluate"))
    assert shell.calls(script, "data", "out") == []


def test_options_go_to_segment_when_membranes_are_scored(shell: Shell) -> None:
    segment, evaluate = shell.calls("isbi2012/score.sh", "d", "m.safetensors", "f", "--overwrite")
    assert segment.startswith("segment d/scored/images.zarr f --model m.safetensors")
    assert segment.endswith("--overwrite")
    assert "--overwrite" not in evaluate


@pytest.mark.parametrize(
    ("script", "given"),
    [
        ("nuclei/train.sh", ["folder", "out.safetensors"]),
        ("nuclei/refine.sh", ["folder", "first.safetensors", "out.safetensors"]),
        ("fib25/train.sh", ["folder", "out.safetensors"]),
        ("isbi2012/train.sh", ["folder", "out.safetensors"]),
    ],
)
def test_a_model_says_of_itself_what_was_asked_for_alone(
    shell: Shell, script: str, given: list[str]
) -> None:
    (call,) = shell.calls(script, *given)
    assert not re.search(r"--card|--name", call)
    (call,) = shell.calls(script, *given, "--card", "card.json")
    assert call.endswith("--card card.json")


@pytest.mark.parametrize(
    ("example", "missing"), [("fib25", "gray*.tif"), ("isbi2012", "train_volume*.tif")]
)
def test_a_folder_without_the_data_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: str, missing: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["prepare.py", str(tmp_path), str(tmp_path / "out")])
    with pytest.raises(SystemExit, match=re.escape(f"{tmp_path} holds no {missing}; give")):
        runpy.run_path(str(EXAMPLES / example / "prepare.py"), run_name="__main__")
    assert not (tmp_path / "out").exists()


def scored(monkeypatch: pytest.MonkeyPatch, folder: Path, model: str) -> None:
    monkeypatch.setattr(sys, "argv", ["score.py", str(folder), model])
    runpy.run_path(str(EXAMPLES / "nuclei" / "score.py"), run_name="__main__")


def test_nuclei_are_counted_in_all_fields_and_in_those_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folders(tmp_path)
    scored(monkeypatch, tmp_path, "nuclei")
    counts = {
        line.split(":")[0]: [int(n) for n in re.findall(r"(\d+) [fms]", line)]
        for line in capsys.readouterr().out.splitlines()
    }
    objects = [
        len(np.unique(np.asarray(Image.open(path)))) - 1 for path in (tmp_path / "labels").iterdir()
    ]
    assert counts["all"][0] == 4
    assert counts["all"][1] + counts["all"][2] == sum(objects)
    assert counts["validation"][0] == 1
    assert counts["validation"][1] + counts["validation"][2] in objects


def test_nuclei_are_scored_by_a_model_of_cells_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folders(tmp_path)
    with pytest.raises(SystemExit, match="em-boundaries was not trained with --target cells"):
        scored(monkeypatch, tmp_path, "em-boundaries")
    with pytest.raises(SystemExit, match="nowhere/images is no image, folder of images"):
        scored(monkeypatch, tmp_path / "nowhere", "nuclei")


HPC = EXAMPLES / "hpc"
OPTION = re.compile(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*")


def example(name: str) -> Any:
    return runpy.run_path(str(HPC / name))


def test_slurm_scripts_are_what_the_command_prints() -> None:
    scripts = example("slurm_scripts.py")
    assert (HPC / "slurm-array.sh").read_text() == scripts["array"]()
    assert (HPC / "slurm-dask.sh").read_text() == scripts["dask"]()


def test_files_are_counted_as_they_are_written(
    tmp_path: Path, tiny_model: Path, write_image: Any, client: Any
) -> None:
    inodes = example("inodes.py")
    assert "\n".join(inodes["rows"]()) in (HPC / "README.md").read_text()
    write_image(tmp_path / "in.zarr", shape=(1500, 1100))
    for version, metadata in (("0.4", "."), ("0.5", "zarr.json")):
        output = tmp_path / f"{version}.zarr"
        options = bigunet.SegmentOptions(block_shape=(1024, 1024), ome_version=version)
        report = bigunet.segment(
            tmp_path / "in.zarr", output, model=tiny_model, options=options, client=client
        )
        files = [path for path in output.glob("labels/classes/*/**/*") if path.is_file()]
        reckoned = inodes["num_files"](report.plan.layout, sharded=version == "0.5")
        assert sum(not path.name.startswith(metadata) for path in files) == reckoned


@pytest.mark.parametrize("script", sorted(path.name for path in HPC.glob("*.sh")))
def test_bash_can_read_the_scripts_for_clusters(script: str) -> None:
    subprocess.run(["bash", "-n", HPC / script], check=True)


@pytest.mark.parametrize(
    ("script", "told", "called"),
    [
        ("pbs-array.sh", {"PBS_ARRAY_INDEX": "3"}, "--part 3/8"),
        ("lsf-array.sh", {"LSB_JOBINDEX": "8"}, "--part 8/8"),
        ("slurm-array.sh", {"SLURM_ARRAY_TASK_ID": "2"}, "--part=2/8"),
        ("slurm-jobqueue.sh", {}, "--interface ib0 --tta --level 1"),
    ],
)
def test_scripts_for_clusters_do_their_part_and_say_how_it_ended(
    shell: Shell, script: str, told: dict[str, str], called: str
) -> None:
    activate = shell.folder / "bigunet/.venv/bin/activate"
    activate.parent.mkdir(parents=True)
    activate.touch()
    for fails in ("nothing does", "segment"):
        ran = subprocess.run(
            ["bash", str(HPC / script), "in.zarr", "out.zarr", "--tta", "--level", "1"],
            env={
                "PATH": f"{shell.folder / 'bin'}:{os.environ['PATH']}", "HOME": str(shell.folder),
                "CALLS": str(shell.folder / "calls"), "FAILS": fails,
                "PBS_O_WORKDIR": str(shell.folder), **told,
            },
            cwd=shell.folder,
        )  # fmt: skip
        assert ran.returncode == (fails != "nothing does")
    calls = (shell.folder / "calls").read_text().splitlines()
    assert len(calls) == 2
    for call in calls:
        assert call.startswith("segment ")
        assert call.endswith(called)
        assert "image.zarr" in call or "in.zarr" in call


def test_options_in_the_scripts_and_the_page_for_clusters_are_there() -> None:
    known = {option for command in (segment, slurm) for p in command.params for option in p.opts}
    known |= {option for p in slurm.params for option in p.secondary_opts}
    for name in ("pbs-array.sh", "lsf-array.sh", "slurm-array.sh", "slurm-jobqueue.sh"):
        command = (HPC / name).read_text().split("bigunet segment ")[-1].split("&\n")[0]
        assert set(OPTION.findall(command)) <= known, name
    of_others = {"--array", "--nodes", "--time", "--mem", "--cpus-per-task", "--gres", "--signal",
                 "--requeue", "--preserve-status", "--nv", "--bind"}  # fmt: skip
    assert set(OPTION.findall((HPC / "README.md").read_text())) <= known | of_others


def test_kubernetes_runs_what_bigunet_has() -> None:
    cluster, job, policy = yaml.safe_load_all((HPC / "kubernetes.yaml").read_text())
    assert cluster["kind"] == "DaskCluster"
    (worker,) = cluster["spec"]["worker"]["spec"]["containers"]
    (run,) = job["spec"]["template"]["spec"]["containers"]
    # As the group has them: click keeps the first that it sees.
    context = segment.make_context("segment", run["command"][2:], **cli.context_settings)
    assert run["command"][:2] == ["bigunet", "segment"]
    address = f"tcp://{cluster['metadata']['name']}-scheduler:8786"
    assert (context.params["scheduler"], context.params["resume"]) == (address, True)
    # What jobs of eight cores and 10 GiB can hold.
    limit = context.params["memory_limit"]
    assert (
        job_memory_mib(limit)
        <= int(worker["resources"]["limits"]["memory"].removesuffix("Gi")) * 1024
    )
    assert job["spec"]["activeDeadlineSeconds"] > 24 * 3600
    (pod, runner, _) = policy["spec"]["ingress"][0]["from"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert runner["podSelector"]["matchLabels"] == labels
    assert pod["podSelector"] == policy["spec"]["podSelector"]
    assert (
        job["spec"]["template"]["spec"]["volumes"] == cluster["spec"]["worker"]["spec"]["volumes"]
    )


@pytest.mark.parametrize("condition", ["Complete", "SuccessCriteriaMet Complete", "Failed"])
def test_the_wait_for_kubernetes_ends_however_its_job_does(tmp_path: Path, condition: str) -> None:
    head = (HPC / "kubernetes.yaml").read_text().partition("apiVersion")[0]
    lines = "\n".join(line[1:] for line in head.splitlines() if line.startswith("#   "))
    assert lines.strip().startswith("kubectl apply")
    kubectl = tmp_path / "kubectl"
    # Running at first.
    kubectl.write_text(
        f"#!/bin/sh\necho $1 >>{tmp_path}/calls\n"
        f"if [ $(grep -c get {tmp_path}/calls) -gt 1 ]; then echo {condition}; fi\n"
    )
    kubectl.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    script = lines.replace("sleep 10", "sleep 0.1")
    subprocess.run(["bash", "-c", script], env={"PATH": path}, timeout=30, check=True)
    assert (tmp_path / "calls").read_text().split() == ["apply", "get", "get", "logs", "delete"]


def test_the_container_is_built_from_what_installing_needs_and_no_more() -> None:
    root = EXAMPLES.parent
    project = tomllib.loads((root / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["package-dir"].values()
    needed = {"pyproject.toml", "constraints.txt", "bigunet", project["project"]["readme"]}
    needed |= {*project["project"]["license-files"], *packages}
    section = (HPC / "bigunet.def").read_text().partition("%files\n")[2].partition("\n\n")[0]
    copied = dict(line.split() for line in section.splitlines())
    assert copied == {name: f"/opt/bigunet/{name}" for name in needed}
    assert all((root / name).exists() for name in copied)
