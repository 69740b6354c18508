"""Laws of clients and their workers on this host or of a running scheduler."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Security, rpc
from distributed.comm import get_address_host

from bigunet.engine.clusters.certificates import security_of
from bigunet.engine.clusters.client import open_client, workers_per_host
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.clusters.worker_settings import THREADS_PER_WORKER
from bigunet.errors import ClusterError, OptionError
from bigunet.machine.memory import usable_memory_bytes


@pytest.mark.slow
def test_a_local_cluster_listens_on_the_loopback_and_is_gone_afterwards() -> None:
    with open_client(ClusterSpec("local", workers=2)) as client:
        threads = client.nthreads()
        assert list(threads.values()) == [THREADS_PER_WORKER] * 2
        assert {get_address_host(a) for a in (*threads, client.scheduler.address)} == {"127.0.0.1"}
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        assert workers_per_host(client) == 2
        limits = [worker["memory_limit"] for worker in client.scheduler_info()["workers"].values()]
        assert limits == [usable_memory_bytes() // 2] * 2
        processes = set(client.run(os.getpid).values())
        assert os.getpid() not in processes
        cluster = client.cluster
    assert client.status == cluster.status.name == "closed"
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)


def test_a_running_scheduler_is_used_and_left_running(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    # Distributed can write this file, but fails while the scheduler holds a task's metrics.
    file.write_text(json.dumps({"type": "Scheduler", "address": client.scheduler.address}))
    for scheduler in (client.scheduler.address, str(file)):
        with open_client(ClusterSpec(scheduler=scheduler)) as other:
            assert other.submit(sum, (1, 2), pure=False).result() == 3
            assert workers_per_host(other) == 1
        assert other.status == "closed"
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
def test_a_malformed_address_is_a_cluster_error(address: str) -> None:
    with (
        pytest.raises(ClusterError, match=rf"no Dask scheduler at {address}.*give its address"),
        open_client(ClusterSpec(scheduler=address)),
    ):
        pass


@pytest.mark.slow
def test_an_address_of_another_machine_is_named_with_its_option() -> None:
    script = """if True:
        from bigunet.engine.clusters.client import open_client
        from bigunet.engine.clusters.spec import ClusterSpec
        from bigunet.errors import ClusterError
        for options in (
            {"kind": "local", "dashboard_address": "203.0.113.1:0"},
            {"kind": "threads", "dashboard_address": "203.0.113.1:0"},
            {"kind": "local", "host": "203.0.113.1"},
        ):
            try:
                open_client(ClusterSpec(**options)).__enter__()
            except ClusterError as error:
                print(error)
    """
    # In a process of its own: Dask leaves sockets open when it fails to start.
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    rest = "is no address of this machine; give one that it has, or 127.0.0.1"
    assert done.stdout.splitlines() == [
        f"--dashboard-address 203.0.113.1:0 {rest}",
        f"--dashboard-address 203.0.113.1:0 {rest}",
        f"--host 203.0.113.1 {rest}",
    ]


@pytest.mark.parametrize("kind", ["threads", pytest.param("local", marks=pytest.mark.slow)])
def test_a_line_names_a_taken_dashboard_port_and_the_one_in_its_place(kind: str) -> None:
    script = """if True:
        import sys, warnings
        from bigunet.engine.clusters.client import open_client
        from bigunet.engine.clusters.spec import ClusterSpec
        warnings.simplefilter("error", UserWarning)
        spec = ClusterSpec(sys.argv[1], dashboard_address=sys.argv[2])
        with open_client(spec, print) as client:
            print(client.dashboard_link)
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        # In a process of its own: Dask leaves sockets open when it fails to listen.
        done = subprocess.run(
            [sys.executable, "-c", script, kind, f"127.0.0.1:{port}"],
            capture_output=True,
            text=True,
        )
    line, link = done.stdout.splitlines()
    listens = link.removeprefix("http://").removesuffix("/status")
    assert listens.startswith("127.0.0.1:")
    assert line == f"the dashboard's port {port} is taken: it listens at {listens}"
    assert done.stderr == ""


@pytest.mark.slow
def test_processes_of_a_run_refuse_others_than_holders_of_its_certificates() -> None:
    lines: list[str] = []
    with open_client(ClusterSpec("local"), lines.append) as client:
        addresses = [client.scheduler.address, *client.nthreads(), *nannies(client)]
        assert len(addresses) == 3
        assert client.submit(sum, (1, 2), pure=False).result() == 3
        for address in addresses:
            assert address.startswith("tls://127.0.0.1:")
            for security in (Security(), Security.temporary()):
                assert_kept_out(address, security)
            assert_kept_out(address.replace("tls://", "tcp://"), Security())
        assert client.submit(sum, (1, 2), pure=False).result() == 3
    assert lines == []


def nannies(client: Client) -> list[str]:
    workers = client.scheduler_info()["workers"].values()
    return [worker["nanny"] for worker in workers]


def assert_kept_out(address: str, security: Security) -> None:
    """A request for the identity gets no answer."""

    async def ask() -> object:
        async with rpc(address, timeout=3, **connection_of(security)) as one:
            return await asyncio.wait_for(one.identity(), 3)

    with pytest.raises((OSError, TimeoutError, TypeError, ValueError, RuntimeError)):
        asyncio.run(ask())


def connection_of(security: Security) -> dict[str, Any]:
    return {"connection_args": security.get_connection_args("client")}


def test_without_cryptography_a_line_says_who_can_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    lines: list[str] = []
    assert security_of(ClusterSpec("local"), lines.append) is None
    assert len(lines) == 1
    assert "every user of this machine can run code as you" in lines[0]
    assert "pip install cryptography" in lines[0]


def test_cuda_without_dask_cuda_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_cuda", None)
    with (
        pytest.raises(ClusterError, match=r"pip install -e '\.\[cuda13\]'"),
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
        ({"kind": "threads", "workers": 2}, "is one worker, which uses all cores, not 2"),
        ({"kind": "threads", "host": "127.0.0.1"}, "listens nowhere: leave out --host"),
        ({"dashboard_address": "127.0.0.1:none"}, "give HOST:PORT, such as 127.0.0.1:8787"),
        ({"dashboard_address": "127.0.0.1:65536"}, "with a port from 0 to 65535"),
    ],
)
def test_impossible_specs_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ClusterSpec(**options)
