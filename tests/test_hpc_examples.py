"""The examples for clusters: scripts of bigunet's templates, options that exist, true figures."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from bigunet_cli.jobs import slurm
from bigunet_cli.main import cli
from bigunet_cli.segment import segment
from support.example_shell import EXAMPLES, NOTHING, ExampleShell

import bigunet
from bigunet.engine.clusters.job_memory import job_memory_mib

HPC = EXAMPLES / "hpc"
OPTION = re.compile(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*")


def example(name: str) -> Any:
    return runpy.run_path(str(HPC / name))


@pytest.mark.parametrize("name", ["lsf-array.sh", "slurm-array.sh", "slurm-dask.sh"])
def test_scripts_are_what_the_templates_give(name: str) -> None:
    scripts = example("scripts.py")["SCRIPTS"]
    # After a change of a template: python examples/hpc/scripts.py examples/hpc
    assert (HPC / name).read_text() == scripts[name]()


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
        expected = inodes["num_files"](report.plan.layout, sharded=version == "0.5")
        assert sum(not path.name.startswith(metadata) for path in files) == expected


@pytest.mark.parametrize(
    ("script", "variables", "last_words"),
    [
        ("pbs-array.sh", {"PBS_ARRAY_INDEX": "3"}, "--part 3/8"),
        ("lsf-array.sh", {"LSB_JOBINDEX": "8"}, "--part 8/8"),
        ("slurm-array.sh", {"SLURM_ARRAY_TASK_ID": "2"}, "--part=2/8"),
        ("slurm-jobqueue.sh", {}, "--interface ib0 --tta --level 1"),
    ],
)
@pytest.mark.parametrize(("fails", "code"), [(NOTHING, 0), ("segment", 1)])
def test_scripts_for_clusters_compute_their_part_and_end_with_the_code_of_the_command(
    tmp_path: Path, script: str, variables: dict[str, str], last_words: str, fails: str, code: int
) -> None:
    shell = ExampleShell(tmp_path)
    activate = tmp_path / "bigunet/.venv/bin/activate"
    activate.parent.mkdir(parents=True)
    activate.touch()
    arguments = ["in.zarr", "out.zarr", "--tta", "--level", "1"]
    environ = {"PBS_O_WORKDIR": str(tmp_path), **variables}
    assert shell.run(f"hpc/{script}", *arguments, fails=fails, **environ) == code
    (call,) = shell.calls
    assert call.startswith("segment ")
    assert call.endswith(last_words)
    assert "image.zarr" in call or "in.zarr" in call


def test_options_in_the_scripts_and_the_page_for_clusters_exist() -> None:
    known = {option for command in (segment, slurm) for p in command.params for option in p.opts}
    known |= {option for p in slurm.params for option in p.secondary_opts}
    for name in ("pbs-array.sh", "lsf-array.sh", "slurm-array.sh", "slurm-jobqueue.sh"):
        command = (HPC / name).read_text().split("bigunet segment ")[-1].split("&\n")[0]
        assert set(OPTION.findall(command)) <= known, name
    of_others = {"--array", "--nodes", "--time", "--mem", "--cpus-per-task", "--gres", "--signal",
                 "--requeue", "--preserve-status", "--nv", "--bind"}  # fmt: skip
    assert set(OPTION.findall((HPC / "README.md").read_text())) <= known | of_others


def test_kubernetes_runs_a_command_that_bigunet_understands() -> None:
    cluster, job, policy = yaml.safe_load_all((HPC / "kubernetes.yaml").read_text())
    assert cluster["kind"] == "DaskCluster"
    (worker,) = cluster["spec"]["worker"]["spec"]["containers"]
    (run,) = job["spec"]["template"]["spec"]["containers"]
    # With the settings of the group: click keeps the help option of the first context.
    context = segment.make_context("segment", run["command"][2:], **cli.context_settings)
    assert run["command"][:2] == ["bigunet", "segment"]
    address = f"tcp://{cluster['metadata']['name']}-scheduler:8786"
    assert (context.params["scheduler"], context.params["resume"]) == (address, True)
    # The workers have the memory that this limit needs.
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
def test_the_wait_for_kubernetes_ends_when_the_job_succeeds_or_fails(
    tmp_path: Path, condition: str
) -> None:
    head = (HPC / "kubernetes.yaml").read_text().partition("apiVersion")[0]
    lines = "\n".join(line[1:] for line in head.splitlines() if line.startswith("#   "))
    assert lines.strip().startswith("kubectl apply")
    kubectl = tmp_path / "kubectl"
    # The first answer is empty: the job still runs.
    kubectl.write_text(
        f"#!/bin/sh\necho $1 >>{tmp_path}/calls\n"
        f"if [ $(grep -c get {tmp_path}/calls) -gt 1 ]; then echo {condition}; fi\n"
    )
    kubectl.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    script = lines.replace("sleep 10", "sleep 0.1")
    subprocess.run(["bash", "-c", script], env={"PATH": path}, timeout=30, check=True)
    assert (tmp_path / "calls").read_text().split() == ["apply", "get", "get", "logs", "delete"]


def test_the_container_is_built_from_the_files_that_an_installation_needs() -> None:
    root = EXAMPLES.parent
    project = tomllib.loads((root / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["package-dir"].values()
    needed = {"pyproject.toml", "constraints.txt", "bigunet", project["project"]["readme"]}
    needed |= {*project["project"]["license-files"], *packages}
    section = (HPC / "bigunet.def").read_text().partition("%files\n")[2].partition("\n\n")[0]
    copied = dict(line.split() for line in section.splitlines())
    assert copied == {name: f"/opt/bigunet/{name}" for name in needed}
    assert all((root / name).exists() for name in copied)
