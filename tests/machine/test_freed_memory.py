"""A process that keeps its freed memory does not ask the system for it again."""

from __future__ import annotations

import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys
from bigunet.machine.freed_memory import keep_freed_memory
keep_freed_memory() if sys.argv[1] == "keep" else None
def use():
    # Of numpy's arrays, Linux may make huge pages, which are few.
    bytearray(b"x") * 50_000_000
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(way: str) -> int:
    command = [sys.executable, "-c", _FAULTS, way]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has mallopt")
def test_kept_memory_is_used_again_without_page_faults() -> None:
    assert page_faults("keep") < 1000 < page_faults("free")
