"""Laws of where workers come from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from distributed.comm import get_address_host

from bigunet.engine.clusters.client import open_client, workers_per_host
from bigunet.engine.clusters.settings import THREADS_PER_WORKER
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.errors import ClusterError, OptionError


@pytest.mark.slow
def test_a_local_cluster_listens_on_the_loopback_and_is_gone_afterwards() -> None:
    with open_client(ClusterSpec("local", workers=2)) as client:
        threads = client.nthreads()
        assert list(threads.values()) == [THREADS_PER_WORKER] * 2
        assert {get_address_host(a) for a in (*threads, client.scheduler.address)} == {"127.0.0.1"}
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        assert workers_per_host(client) == 2
        processes = set(client.run(os.getpid).values())
        assert os.getpid() not in processes
        cluster = client.cluster
    assert client.status == cluster.status.name == "closed"
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)


def test_a_running_scheduler_is_used_and_left_running(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    # As distributed writes it, which fails while the scheduler still holds a task's metrics.
    file.write_text(json.dumps({"type": "Scheduler", "address": client.scheduler.address}))
    for scheduler in (client.scheduler.address, str(file)):
        with open_client(ClusterSpec(scheduler=scheduler)) as found:
            assert found.submit(sum, (1, 2), pure=False).result() == 3
            assert workers_per_host(found) == 1
        assert found.status == "closed"
        assert client.submit(sum, (1, 2), pure=False).result() == 3


@pytest.mark.parametrize("content", ["no JSON", "{}", "[]", '{"address": 5}'])
def test_a_file_that_is_no_scheduler_file_is_a_cluster_error(tmp_path: Path, content: str) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text(content)
    with (
        pytest.raises(ClusterError, match=r"no Dask scheduler at .*scheduler\.json"),
        open_client(ClusterSpec(scheduler=str(file))),
    ):
        pass


@pytest.mark.parametrize("address", ["nonsense://here:1", "no-such-file.json"])
def test_an_address_that_is_none_is_a_cluster_error(address: str) -> None:
    with (
        pytest.raises(ClusterError, match=rf"no Dask scheduler at {address}.*give its address"),
        open_client(ClusterSpec(scheduler=address)),
    ):
        pass


@pytest.mark.slow
def test_a_dashboard_that_cannot_listen_is_a_cluster_error() -> None:
    script = """if True:
        from bigunet.engine.clusters.client import open_client
        from bigunet.engine.clusters.spec import ClusterSpec
        from bigunet.errors import ClusterError
        for address in ("203.0.113.1:0", "127.0.0.1:none"):
            try:
                open_client(ClusterSpec("local", dashboard_address=address)).__enter__()
            except ClusterError as error:
                print(error)
    """
    # In a process of its own: Dask leaves sockets open when it fails to start.
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    told = done.stdout.splitlines()
    assert len(told) == 2
    assert all("is --dashboard-address HOST:PORT, and free?" in line for line in told)
    assert "203.0.113.1:0: [Errno 99]" in told[0]
    assert "127.0.0.1:none: invalid literal" in told[1]


def test_cuda_without_dask_cuda_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_cuda", None)
    with (
        pytest.raises(ClusterError, match=r"pip install 'bigunet\[cuda13\]'"),
        open_client(ClusterSpec("cuda")),
    ):
        pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "slum"}, "cluster 'slum'; known: auto, local, cuda, slurm"),
        ({"scheduler": "tcp://x:1", "host": "x"}, "the one of --scheduler runs already"),
        ({"scheduler": "tcp://x:1", "interface": "lo"}, "the one of --scheduler runs already"),
        ({"workers": 0}, "0 workers; give at least 1"),
    ],
)
def test_impossible_specs_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ClusterSpec(**options)
