"""The memory watch: this process and its children, what they share counted once."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

from bigunet.engine.memory import MemoryWatch

_HOLD = "import sys, time; held = b'x' * 300_000_000; print('ready', flush=True); time.sleep(60)"


def test_children_count_and_what_is_shared_counts_once() -> None:
    alone = psutil.Process().memory_info().rss
    with MemoryWatch() as watch:
        children = [
            subprocess.Popen([sys.executable, "-c", _HOLD], stdout=subprocess.PIPE)
            for _ in range(2)
        ]
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        time.sleep(1)
        resident = sum(psutil.Process(child.pid).memory_info().rss for child in children)
    for child in children:
        child.kill()
        child.communicate()
    assert 600_000_000 < watch.peak_bytes < alone + resident + 100_000_000


def test_the_peak_outlives_what_was_held() -> None:
    with MemoryWatch() as watch:
        held = bytearray(b"x" * 200_000_000)
        time.sleep(0.6)
        del held
        time.sleep(0.3)
    assert watch.peak_bytes > 200_000_000
