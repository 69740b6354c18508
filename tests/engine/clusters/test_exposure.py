"""Laws of who can reach a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dask
import psutil
import pytest
from distributed import Client, Security

from bigunet.engine.clusters.client import open_client
from bigunet.engine.clusters.exposure import (
    configured_security,
    dashboards_of,
    exposures,
    listening_host,
)
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.errors import ClusterError, OptionError

pytest.importorskip("cryptography")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Dask's settings for certificates of our own."""
    folder = tmp_path_factory.mktemp("tls")
    made = Security.temporary()
    for name, content in (
        ("ca", made.tls_ca_file), ("cert", made.tls_client_cert), ("key", made.tls_client_key)
    ):  # fmt: skip
        (folder / f"{name}.pem").write_text(content)
    settings = {"distributed.comm.tls.ca-file": str(folder / "ca.pem")}
    for role in ("scheduler", "worker", "client"):
        settings[f"distributed.comm.tls.{role}.cert"] = str(folder / "cert.pem")
        settings[f"distributed.comm.tls.{role}.key"] = str(folder / "key.pem")
    return settings


@pytest.mark.parametrize(
    ("scheduler", "dashboard", "starts"),
    [
        ("tcp://127.0.0.1:1", "127.0.0.1:0", []),
        ("tcp://[::1]:1", "localhost:8787", []),
        ("tcp://10.0.0.1:1", "127.0.0.1:0", ["the scheduler listens at tcp://10.0.0.1:1: whoever"]),
        ("tls://10.0.0.1:1", "127.0.0.1:0", []),
        ("inproc://10.0.0.1/1/1", "127.0.0.1:0", []),
        ("tcp://127.0.0.1:1", ":8787", ["the dashboard listens at :8787: whoever"]),
        ("tls://10.0.0.1:1", "0.0.0.0:1", ["the dashboard listens at 0.0.0.0:1: whoever"]),
    ],
)
def test_a_line_names_each_address_that_everybody_can_reach(
    scheduler: str, dashboard: str, starts: list[str]
) -> None:
    lines = exposures(scheduler, [dashboard])
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts))


@pytest.mark.parametrize("address", ["127.0.0.1:0", "0.0.0.0:0", ":0"])
def test_the_named_address_of_a_dashboard_is_where_it_listens(address: str) -> None:
    with Client(
        processes=False, n_workers=0, protocol="tcp", host="127.0.0.1", dashboard_address=address
    ) as client:
        port = client.dashboard_link.rpartition(":")[2].partition("/")[0]
        assert dashboards_of(client) == [f"{address.rpartition(':')[0] or '0.0.0.0'}:{port}"]


def test_a_scheduler_listens_at_the_given_address() -> None:
    assert listening_host(ClusterSpec()) == "127.0.0.1"
    assert listening_host(ClusterSpec(interface="lo")) == "127.0.0.1"
    assert listening_host(ClusterSpec(host="10.0.0.1")) == "10.0.0.1"
    with pytest.raises(OptionError, match="no-such"):
        listening_host(ClusterSpec(interface="no-such"))


def outside() -> str:
    """An address of this host that other hosts can reach."""
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family.name == "AF_INET" and not one.address.startswith("127."):
                return one.address
    pytest.skip("no network is up here")
    raise AssertionError


@pytest.mark.slow
def test_a_host_opens_the_scheduler_and_says_so() -> None:
    address, lines = outside(), []
    with open_client(ClusterSpec("local", host=address), lines.append) as client:
        assert client.scheduler.address.startswith(f"tcp://{address}:")
        assert client.submit(sum, (1, 2), pure=False).result() == 3
        # Another host would connect in this way.
        with Client(client.scheduler.address, set_as_default=False) as other:
            assert other.nthreads() == client.nthreads()
    assert [line[:34] for line in lines] == [f"the scheduler listens at tcp://{address}"[:34]]
    assert "can run code as you" in lines[0]


@pytest.fixture
def encrypted(tls: dict[str, str]) -> Iterator[Client]:
    """A cluster with the certificates of Dask's settings, at an address that others can reach."""
    lines: list[str] = []
    with (
        dask.config.set(tls | {"distributed.comm.require-encryption": True}),
        open_client(ClusterSpec("local", host=outside()), lines.append) as client,
    ):
        assert not lines
        yield client


@pytest.mark.slow
def test_only_holders_of_certificates_can_connect(
    encrypted: Client, tls: dict[str, str], tmp_path: Path
) -> None:
    address = encrypted.scheduler.address
    assert address.startswith("tls://")
    assert all(worker.startswith("tls://") for worker in encrypted.nthreads())
    with open_client(ClusterSpec(scheduler=address)) as other:
        assert other.submit(sum, (1, 2), pure=False).result() == 3
    without = dict.fromkeys(tls) | {"distributed.comm.require-encryption": False}
    with (
        dask.config.set(without),
        pytest.raises(ClusterError, match=r"no Dask scheduler at tls://.*distributed\.comm\.tls"),
        open_client(ClusterSpec(scheduler=address)),
    ):
        pass


def test_unusable_certificate_settings_are_errors_of_one_line(tls: dict[str, str]) -> None:
    with (
        dask.config.set({"distributed.comm.require-encryption": True}),
        pytest.raises(ClusterError, match="names no ca-file"),
    ):
        configured_security()
    with (
        dask.config.set(tls | {"distributed.comm.tls.ca-file": "/no/such/file"}),
        pytest.raises(ClusterError, match=r"distributed\.comm\.tls"),
    ):
        configured_security()
