"""Laws of jobs that are refused, wait, or cannot be left; tests/slurm runs a real batch system.

Here Slurm's commands are scripts: a job is a process of this machine.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import pytest

from bigunet.engine.clusters.client import open_client
from bigunet.engine.clusters.spec import ClusterSpec, JobSpec
from bigunet.errors import StoppedError

dask_jobqueue = pytest.importorskip("dask_jobqueue")

HEAD = """#!/bin/bash
cd {folder}
exec 9>lock; flock 9
"""
SBATCH = """
n=$(($(cat count 2>/dev/null || echo 0) + 1)); echo $n >count
if [ -e refuse$n ]; then echo "sbatch: error: refused $n" >&2; exit 1; fi
flock -u 9
sleep {answer_after}
cp "$1" $n.sh
if [ -e run ]; then setsid bash $n.sh >$n.log 2>&1 9>&- & echo $! >$n.pid; else touch $n.pid; fi
echo "Submitted batch job $n"
"""
SCANCEL = """
for n; do
    echo $n >>cancelled
    [ -s $n.pid ] && kill -- -$(cat $n.pid) 2>/dev/null
    rm -f $n.pid
done
"""
SQUEUE = """
for pid in *.pid; do [ -e $pid ] && echo ${{pid%.pid}}; done
exit 0
"""


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes the commands; their folder."""

    def make(*files: str, answer_after: float = 0) -> Path:
        folder = tmp_path / "slurm"
        folder.mkdir()
        for name in files:
            (folder / name).touch()
        for name, script in (("sbatch", SBATCH), ("scancel", SCANCEL), ("squeue", SQUEUE)):
            (folder / name).write_text(
                (HEAD + script).format(folder=folder, answer_after=answer_after)
            )
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return folder

    return make


@pytest.fixture
def spec(tmp_path: Path) -> Iterator[ClusterSpec]:
    """Two jobs; those that are lost are missed at once."""
    job = JobSpec(memory_bytes=2_000_000_000, logs=str(tmp_path / "logs"))
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"}):
        yield ClusterSpec("slurm", workers=2, interface="lo", job=job)


def cancelled(folder: Path) -> set[str]:
    return set((folder / "cancelled").read_text().split())


@pytest.mark.slow
def test_one_job_that_is_refused_does_not_end_a_run_that_gets_another(
    commands: Callable[..., Path], spec: ClusterSpec
) -> None:
    folder = commands("run", "refuse1", answer_after=1)
    lines: list[str] = []
    # As it may stand in dask-jobqueue's configuration, where nobody thinks of it.
    opened = {"jobqueue.slurm.scheduler-options": {"dashboard_address": ":0"}}
    with dask.config.set(opened), open_client(spec, lines.append) as client:
        assert client.submit(sum, (1, 2), pure=False).result() == 3
    assert lines[0].startswith("waiting for the first of 2 jobs of slurm")
    assert lines[1].startswith("the dashboard listens at 0.0.0.0:")
    assert "2" in cancelled(folder)
    assert not list(folder.glob("*.pid"))


def stop_once_submitted(folder: Path, stop: threading.Event) -> Callable[[str], None]:
    """For ``tell``, which is called when jobs are on their way."""

    def wait() -> None:
        while not list(folder.glob("*.pid")):
            stop.wait(0.05)
        stop.set()

    return lambda line: threading.Thread(target=wait, daemon=True).start()


def test_jobs_that_wait_are_given_up_when_the_run_is_asked_to_stop(
    commands: Callable[..., Path], spec: ClusterSpec
) -> None:
    folder, stop = commands(), threading.Event()
    with (
        pytest.raises(StoppedError, match="stopped as asked before the first block"),
        open_client(spec, stop_once_submitted(folder, stop), stop),
    ):
        pass
    assert cancelled(folder) == {"1", "2"}


def test_a_cluster_that_fails_to_close_leaves_neither_jobs_nor_keys_nor_another_outcome(
    commands: Callable[..., Path],
    spec: ClusterSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, stop, lines, left = commands(), threading.Event(), [], []
    begin = stop_once_submitted(folder, stop)

    def tell(line: str) -> None:
        lines.append(line)
        if len(lines) == 1:
            begin(line)

    def fail(cluster: object, timeout: float | None = None) -> None:
        assert list(Path(spec.job.logs).glob(".dask-jobqueue.*"))
        left.append(cluster)
        raise AssertionError("still running")

    close = dask_jobqueue.SLURMCluster.close
    with monkeypatch.context() as patched:
        patched.setattr(dask_jobqueue.SLURMCluster, "close", fail)
        with (
            pytest.raises(StoppedError),
            open_client(spec, tell, stop),
        ):
            pass
    assert lines[1:] == ["Dask did not close: still running"]
    assert cancelled(folder)
    assert not list(folder.glob("*.pid"))
    assert not list(Path(spec.job.logs).glob(".dask-jobqueue.*"))
    close(left[0])
