"""Laws of control groups: the smallest limit around this process holds, for memory and for time."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from bigunet.machine.cgroups import CgroupFiles
from bigunet.machine.cores import cores
from bigunet.machine.memory import usable_memory_bytes

HOST_BYTES = psutil.virtual_memory().total
BOUND = len(os.sched_getaffinity(0))
V1_UNLIMITED = "9223372036854771712"


def made_up(folder: Path, membership: str, files: dict[str, str]) -> CgroupFiles:
    """Control groups with these files, by their path under the mount."""
    mount = folder / "cgroup"
    mount.mkdir()
    for name, content in files.items():
        path = mount / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    (folder / "membership").write_text(membership)
    return CgroupFiles(mount, folder / "membership")


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/", {"memory.max": "1000"}, 1000),  # a container sees its group as the mount
        ("0::/", {"memory.max": "max"}, HOST_BYTES),
        ("0::/", {"memory.max": str(2**62)}, HOST_BYTES),
        ("0::/", {}, HOST_BYTES),
        ("0::/a/b", {"a/memory.max": "500", "a/b/memory.max": "900"}, 500),
        ("0::/a/b", {"a/memory.max": "900", "a/b/memory.max": "500"}, 500),
        ("0::/a/b", {"a/memory.max": "900", "a/b/memory.max": "max"}, 900),
        ("0::/a", {"a/memory.max": "900", "other/memory.max": "1"}, 900),
        ("0::/host/path/of/a/container", {"memory.max": "700"}, 700),
        ("4:memory:/", {"memory/memory.limit_in_bytes": "800"}, 800),
        ("4:memory:/", {"memory/memory.limit_in_bytes": V1_UNLIMITED}, HOST_BYTES),
        (
            "5:cpu:/x\n4:memory:/slurm/job_1/step_0\n1:name=systemd:/\n0::/",
            {
                "memory/memory.limit_in_bytes": V1_UNLIMITED,
                "memory/slurm/job_1/memory.limit_in_bytes": "600",
                "memory/slurm/job_1/step_0/memory.limit_in_bytes": "601",
                "memory/slurm/job_2/memory.limit_in_bytes": "1",
                "memory/x/memory.limit_in_bytes": "2",  # of another controller's hierarchy
            },
            600,
        ),
        ("nonsense", {"memory.max": "1"}, HOST_BYTES),
        ("", {"memory.max": "1"}, HOST_BYTES),
    ],
)
def test_usable_memory_is_the_smallest_limit_on_the_way_up(
    tmp_path: Path, membership: str, files: dict[str, str], expected: int
) -> None:
    assert usable_memory_bytes(made_up(tmp_path, membership, files)) == expected


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/", {"cpu.max": "100000 100000"}, 1),
        ("0::/", {"cpu.max": "50000 100000"}, 1),
        ("0::/", {"cpu.max": "max 100000"}, BOUND),
        ("0::/", {"cpu.max": "99900000 100000"}, BOUND),
        ("0::/", {}, BOUND),
        ("0::/a/b", {"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000"}, 1),
        (
            "3:cpu,cpuacct:/a",
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "1000", "cpu,cpuacct/a/cpu.cfs_period_us": "1000"},
            1,
        ),
        (
            "3:cpu,cpuacct:/a",
            {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "1000"},
            BOUND,
        ),
    ],
)
def test_cores_are_as_many_as_the_smallest_quota_allows(
    tmp_path: Path, membership: str, files: dict[str, str], expected: int
) -> None:
    assert cores(made_up(tmp_path, membership, files)) == expected


def test_a_host_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    nothing = CgroupFiles(tmp_path / "no mount", tmp_path / "no file")
    assert usable_memory_bytes(nothing) == HOST_BYTES
    assert cores(nothing) == BOUND
