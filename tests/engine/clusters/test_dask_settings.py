"""One line names the file and the setting that Dask cannot use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dask
import pytest

from bigunet.engine.clusters import dask_settings
from bigunet.engine.clusters.dask_settings import check_dask_settings
from bigunet.errors import ClusterError


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only file that Dask reads."""
    monkeypatch.setattr(dask.config, "paths", [str(tmp_path)])
    for name in list(os.environ):
        if name.startswith("DASK_"):
            monkeypatch.delenv(name)
    return tmp_path / "site.yaml"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("distributed: 5", "distributed is 5, but must be a group of settings"),
        ("distributed: {worker: []}", "distributed.worker is [], but must be a group"),
        (
            "distributed: {worker: {memory: {target: lots}}}",
            "distributed.worker.memory.target is 'lots', but must be a number above 0 to 1 or fals",
        ),
        (
            "distributed: {worker: {memory: {target: 60}}}",
            "target is 60, but must be a number above 0 to 1 or false",
        ),
        (
            "distributed: {comm: {timeouts: {connect: soon}}}",
            "distributed.comm.timeouts.connect is 'soon', but must be a time or a size, such as 30",
        ),
        (
            "distributed: {worker: {multiprocessing_method: magic}}",
            "multiprocessing_method is 'magic', but must be spawn or fork or forkserver",
        ),
        ("distributed: {scheduler: {allowed-failures: -1}}", "must be a whole number from 0"),
        ("distributed: {scheduler: {work-stealing: maybe}}", "must be true or false"),
        ("distributed: {scheduler: {http: {routes: one}}}", "routes is 'one', but must be a list"),
        ("temporary-directory: [a]", "temporary-directory is ['a'], but must be a word"),
        ("jobqueue: {slurm: 5}", "jobqueue.slurm is 5, but must be a group of settings"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(
    configuration: Path, content: str, expected: str
) -> None:
    configuration.write_text(content)
    with pytest.raises(ClusterError) as refused:
        check_dask_settings()
    message = str(refused.value)
    assert message.startswith(f"Dask's configuration in {configuration}: ")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "content",
    [
        "",
        "# nothing",
        "distributed: {comm: {timeouts: {connect: 30}}}",  # seconds
        "distributed: {worker: {memory: {target: false, spill: 0.9, terminate: null}}}",
        "distributed: {worker: {profile: {interval: 1s}}, scheduler: {worker-saturation: inf}}",
        "distributed: {scheduler: {work_stealing: false}}",
        "something: {of: [somebody, else]}",
        "jobqueue: {slurm: {cores: 4, memory: 16GB}}",
    ],
)
def test_values_that_dask_can_use_are_accepted(configuration: Path, content: str) -> None:
    configuration.write_text(content)
    check_dask_settings()


def test_the_defaults_of_dask_are_accepted() -> None:
    schema, defaults = dask_settings._known()
    assert not list(dask_settings._wrong(defaults, schema, defaults, ""))
    assert defaults["distributed"]["comm"]["timeouts"]["connect"] == "30s"


def test_an_environment_variable_is_named(
    configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__WORKER__DAEMON", "7")
    with pytest.raises(ClusterError, match=r"in DASK_DISTRIBUTED__WORKER__DAEMON: .*daemon is 7"):
        check_dask_settings()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"distributed:\n  worker: [\n", "is malformed at line 3, column 1"),
        (b"- a\n- b\n", "must have a dict as the top level object"),
        (b"\xff\xfe\x00", "is malformed"),
    ],
)
def test_a_file_that_cannot_be_read_ends_a_command_that_computes_with_one_line(
    tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "bad.yaml").write_bytes(content)
    bigunet = Path(sys.executable).with_name("bigunet")
    environment = os.environ | {"DASK_CONFIG": str(tmp_path)}
    done = subprocess.run(
        [bigunet, "plan", tmp_path / "in.zarr"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: Dask's configuration cannot be read: ")
    assert f"{tmp_path}/bad.yaml" in line
    assert words in line
