"""Laws of the options that say where workers come from."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest


@pytest.fixture
def words(tmp_path: Path, tiny_model: Path, write_image) -> list[object]:
    write_image(tmp_path / "in.zarr")
    return ["segment", tmp_path / "in.zarr", tmp_path / "out.zarr", "--model", tiny_model]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cluster", "slurm", "--interface", "lo"], "give --job-memory, such as 16GB"),
        (["--cluster", "slurm", "--job-memory", "3GB"], "give --interface NAME or --host ADDRESS"),
        (["--queue", "gpu"], "are for batch systems: give one of these clusters: slurm, pbs"),
        (["--cluster", "pbs", "--job-memory", "3GB", "--host", "x", "--job-gpus", "1"], "pbs has"),
        (["--scheduler", "tcp://x:1", "--host", "x"], "--host and --interface say where"),
        (["--interface", "no-such"], "interface no-such: 'no-such' is not a valid network"),
    ],
)
def test_what_is_missing_is_said_in_one_line(bigunet, words, options, message) -> None:
    pytest.importorskip("dask_jobqueue")
    pytest.importorskip("cryptography")
    done = bigunet(*words, *options)
    assert done.code == 1
    (line,) = done.messages
    assert message in line


@pytest.mark.slow
def test_a_scheduler_that_others_can_reach_is_named_even_with_quiet(bigunet, words) -> None:
    addresses = (a for of_interface in psutil.net_if_addrs().values() for a in of_interface)
    address = next(
        (a.address for a in addresses if a.family.name == "AF_INET" and a.address[:4] != "127."),
        None,
    )
    if address is None:
        pytest.skip("no network is up here")
    done = bigunet(*words, "--host", address, "--quiet")
    assert done.code == 0, done.err
    (line,) = done.messages
    assert line.startswith(f"the scheduler listens at tcp://{address}:")
