"""Laws of the options of jobs; tests/slurm runs a real batch system."""

from __future__ import annotations

import itertools
import re
import signal
import sys
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Security

from bigunet.engine.clusters.client import open_client
from bigunet.engine.clusters.job_options import cluster_options, job_memory_bytes
from bigunet.engine.clusters.spec import BATCH_KINDS, ClusterSpec, JobSpec
from bigunet.engine.clusters.walltime import lifetime_settings, walltime_seconds
from bigunet.errors import ClusterError, OptionError

pytest.importorskip("dask_jobqueue")
OF_CLUSTERS = ("silence_logs", "scheduler_options", "security", "shared_temp_directory")


def spec(kind: str = "slurm", **given: Any) -> ClusterSpec:
    job = JobSpec(**{"memory_bytes": 8_000_000_000, **given.pop("job", {})})
    return ClusterSpec(kind, **{"interface": "lo", **given}, job=job)


def script(asked: ClusterSpec) -> str:
    """The job script that dask-jobqueue makes of it."""
    import dask_jobqueue

    options = {k: v for k, v in cluster_options(asked).items() if k not in OF_CLUSTERS}
    names = {"slurm": "SLURM", "htcondor": "HTCondor"}
    cluster = getattr(dask_jobqueue, f"{names.get(asked.kind, asked.kind.upper())}Cluster")
    return str(cluster.job_cls("tls://10.0.0.1:1", name="w", **options).job_script())


@pytest.fixture(autouse=True)
def _state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.parametrize("kind", BATCH_KINDS)
def test_every_batch_system_takes_what_all_of_them_know(kind: str) -> None:
    needed = {
        "jobqueue.htcondor.disk": "1GB",
        "jobqueue.oar.memory-per-core-property-name": "not_applicable",
    }
    with dask.config.set(needed):
        script_text = script(spec(kind))
    assert "distributed.cli.dask_worker tls://10.0.0.1:1 --name w" in script_text
    # Dask neither pauses nor kills a worker: the plan keeps a margin, and the job has a limit.
    assert re.findall(r"--memory-limit (\S+)", script_text)[-1] == "0"
    assert "export MALLOC_TRIM_THRESHOLD_=4000000000" in script_text
    assert "--interface lo" in script_text


def test_a_slurm_script_has_slurms_own_options(tmp_path: Path) -> None:
    script_text = script(
        spec(job={"queue": "long", "account": "lab", "walltime": "1-00:00:00", "cores": 16,
                  "logs": str(tmp_path)})
    )  # fmt: skip
    for line in ("-p long", "-A lab", "-t 1-00:00:00", "--cpus-per-task=16", "--mem=8G",
                 "-J bigunet", f"-e {tmp_path}/bigunet-%J.err"):  # fmt: skip
        assert f"#SBATCH {line}\n" in script_text
    assert re.findall(r"--nthreads (\d+)", script_text)[-1] == "3"
    assert "export DASK_DISTRIBUTED__WORKER__LIFETIME__DURATION=85950s\n" in script_text
    assert "export DASK_DISTRIBUTED__WORKER__LIFETIME__STAGGER=150s\n" in script_text
    assert "--gres" not in script_text


def test_gpus_get_a_worker_each() -> None:
    script_text = script(spec(job={"gpus": 4}))
    assert "#SBATCH --gres=gpu:4\n" in script_text
    assert "#SBATCH --cpus-per-task=12\n" in script_text
    assert "-m dask_cuda.cli tls://" in script_text
    assert spec(job={"gpus": 4}).workers_per_machine == 4
    with pytest.raises(OptionError, match=r"jobqueue\.pbs\.job-extra-directives"):
        cluster_options(spec("pbs", job={"gpus": 1}))


def test_dask_jobqueues_configuration_holds_for_options_that_are_not_given(
    tmp_path: Path,
) -> None:
    configured = {
        "queue": "configured", "memory": "3GB", "cores": 8, "walltime": "02:00:00",
        "interface": "lo", "log-directory": str(tmp_path / "of config"),
        "job-extra-directives": ["--qos=low"], "job-script-prologue": ["module load unet"],
        "worker-extra-args": ["--lifetime", "1h", "--memory-limit", "2GB"],
        "scheduler-options": {"port": 4242}, "name": "mine",
    }  # fmt: skip
    with dask.config.set({f"jobqueue.slurm.{k}": v for k, v in configured.items()}):
        script_text = script(ClusterSpec("slurm"))
        assert job_memory_bytes(ClusterSpec("slurm")) == 3_000_000_000
        assert cluster_options(ClusterSpec("slurm"))["scheduler_options"] == {
            "port": 4242, "dashboard_address": "127.0.0.1:0",
        }  # fmt: skip
        given = spec(host="10.0.0.1", job={"queue": "given", "gpus": 1})
        told_otherwise = script(given)
        assert cluster_options(given)["scheduler_options"]["host"] == "10.0.0.1"
    for words in (
        "-p configured", "--mem=3G", "--cpus-per-task=8", "-t 02:00:00", "--qos=low", "-J mine",
        "of config/mine-%J.err", "module load unet", "--lifetime 1h",
    ):  # fmt: skip
        assert words in script_text
    assert "LIFETIME" not in script_text
    assert re.findall(r"--memory-limit (\S+)", script_text)[-1] == "2GB"
    assert "-p given" in told_otherwise
    assert "#SBATCH --qos=low\n#SBATCH --gres=gpu:1\n" in told_otherwise
    assert "--mem=8G" in told_otherwise


def test_options_that_only_the_user_knows_are_required() -> None:
    with pytest.raises(OptionError, match="--job-memory, such as 16GB"):
        cluster_options(ClusterSpec("slurm", interface="lo"))
    with pytest.raises(OptionError, match="give --interface NAME or --host ADDRESS"):
        cluster_options(ClusterSpec("slurm", job=JobSpec(memory_bytes=1_000_000_000)))
    with pytest.raises(OptionError, match="htcondor has no queue"):
        cluster_options(spec("htcondor", job={"queue": "x"}))
    with pytest.raises(OptionError, match="for batch systems: give one of"):
        ClusterSpec("local", job=JobSpec(queue="x"))
    with pytest.raises(OptionError, match="without spaces"):
        JobSpec(logs="/a b")
    with (
        pytest.raises(ClusterError, match="no-such-interface"),
        open_client(spec(interface="no-such-interface")),
    ):
        pass


def test_certificates_that_dask_has_are_taken_and_others_made(tmp_path: Path) -> None:
    own = cluster_options(spec(job={"logs": str(tmp_path)}))
    assert own["security"] is True
    assert own["shared_temp_directory"] == str(tmp_path)
    with dask.config.set({"distributed.comm.require-encryption": True}):
        assert cluster_options(spec())["security"] is True
    made = Security.temporary()
    parts = {"ca": made.tls_ca_file, "cert": made.tls_client_cert, "key": made.tls_client_key}
    for name, content in parts.items():
        (tmp_path / name).write_text(content)
    tls = {"distributed.comm.tls.ca-file": str(tmp_path / "ca")}
    for role, part in itertools.product(("scheduler", "worker", "client"), ("cert", "key")):
        tls[f"distributed.comm.tls.{role}.{part}"] = str(tmp_path / part)
    with dask.config.set(tls):
        taken = cluster_options(spec())
    assert taken["protocol"] == "tls://"
    assert taken["security"].tls_worker_key == str(tmp_path / "key")
    assert "shared_temp_directory" not in taken


def test_without_sbatch_it_says_so(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(ClusterError, match=r"jobs cannot be submitted: .*sbatch"),
        open_client(spec(job={"logs": str(tmp_path)})),
    ):
        pass


def test_the_handler_of_ctrl_c_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first import of dask-jobqueue replaces it.
    for name in [name for name in sys.modules if name.split(".")[0] == "dask_jobqueue"]:
        monkeypatch.delitem(sys.modules, name)
    before = signal.getsignal(signal.SIGINT)
    assert job_memory_bytes(spec()) == 8_000_000_000
    assert "dask_jobqueue.runner" in sys.modules
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("text", "two_numbers", "seconds"),
    [
        ("90", "MM:SS", 5400),
        ("1:30", "MM:SS", 90),
        ("1:30", "HH:MM", 5400),
        ("01:00:00", "HH:MM", 3600),
        ("2-12", "MM:SS", 216000),
        ("2-00:10", "MM:SS", 173400),
        ("UNLIMITED", "MM:SS", None),
    ],
)
def test_walltimes_are_read_as_batch_systems_do(text, two_numbers, seconds) -> None:
    assert walltime_seconds(text, two_numbers=two_numbers) == seconds


@pytest.mark.parametrize(
    ("kind", "walltime", "lifetime"),
    [
        ("slurm", "60", 3150),
        ("lsf", "60", 3150),
        ("pbs", "3600", 3150),
        ("sge", "3600", 3150),
        ("oar", "1", 3150),
        ("oar", "1:00", 3150),
    ],
)
def test_a_bare_number_has_the_unit_of_the_batch_system(kind, walltime, lifetime) -> None:
    script_text = "\n".join(
        cluster_options(spec(kind, job={"walltime": walltime}))["job_script_prologue"]
    )
    assert f"LIFETIME__DURATION={lifetime}s\n" in script_text


@pytest.mark.parametrize("seconds", [60, 1800, 86400, 10**6])
def test_workers_retire_before_their_job_ends(seconds: int) -> None:
    lifetime, stagger = (int(word[:-1]) for word in lifetime_settings(seconds).values())
    assert seconds * 0.8 <= lifetime + stagger < seconds
    assert lifetime - stagger > 0
