"""The memory watch: this process and its children, what they share counted once."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: others that run tests have children of all kinds.
_WATCH = """
import subprocess, sys, time
import psutil
from bigunet.machine.memory import MemoryWatch

HOLD = "held = b'x' * 300_000_000; print('ready', flush=True); import time; time.sleep(60)"
with MemoryWatch() as watch:
    command = [sys.executable, "-c", HOLD]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    for child in children:
        child.stdout.readline()
    time.sleep(1)
    all_of_them = [psutil.Process(), *(psutil.Process(child.pid) for child in children)]
    resident = sum(process.memory_info().rss for process in all_of_them)
for child in children:
    child.kill()
time.sleep(0.1)
print(watch.peak_bytes, resident)
"""


def test_children_count_and_what_is_shared_counts_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WATCH], check=True, capture_output=True, text=True, timeout=120
    )
    peak, resident = map(int, done.stdout.split())
    # Each of the three has Python's own libraries mapped.
    assert 600_000_000 < peak < resident
