"""Nothing of bigunet needs what macOS or Windows lack, but for what asks for the system first."""

from __future__ import annotations

import ast
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.systems import (
    PARTIAL,
    UNIX_MODULES,
    asks_for_system,
    names_of,
    used_unasked,
    uses_one_system,
)

ROOT = Path(__file__).parent.parent
SOURCES = [*(ROOT / "bigunet").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]
FILES = ("/dev/", "/proc/", "/sys/", "/tmp")
TEXT_CALLS = {"read_text": 0, "write_text": 1}


@functools.cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def test_the_stubs_say_what_python_has_here() -> None:
    assert {"os.fork", "os.sched_getaffinity", "os.geteuid"} <= {f"os.{n}" for n in PARTIAL["os"]}
    assert {"SIGHUP", "SIGUSR1", "pthread_sigmask", "SIGCHLD"} <= PARTIAL["signal"]
    assert "SIGINT" not in PARTIAL["signal"]
    assert "replace" not in PARTIAL["os"]
    for module in (os, signal):
        missing = {n for n in names_of(module.__name__, "linux") if not hasattr(module, n)}
        # Names of the stubs themselves, and what this build of Python lacks.
        assert len(missing & PARTIAL[module.__name__]) < 12


@pytest.mark.parametrize(
    ("source", "used"),
    [
        ("import fcntl", ["fcntl"]),
        ("from os import geteuid", ["geteuid"]),
        ("def f():\n    return os.sched_getaffinity(0)", ["os.sched_getaffinity"]),
        ("if x:\n    signal.signal(signal.SIGHUP, f)", ["signal.SIGHUP"]),
        ("if sys.platform != 'win32':\n    import fcntl", []),
        ("n = os.getuid() if hasattr(os, 'getuid') else 0", []),
        ("signal.signal(signal.SIGINT, f)", []),
    ],
)
def test_what_one_system_has_is_seen(source: str, used: list[str]) -> None:
    assert used_unasked(ast.parse(source)) == used


def test_what_one_system_has_is_used_only_after_a_question() -> None:
    used = {file: used_unasked(tree_of(file)) for file in SOURCES}
    assert {file: names for file, names in used.items() if names} == {}


def test_tests_that_windows_cannot_run_are_known() -> None:
    assert uses_one_system(ROOT / "tests/machine/test_locks.py")
    assert not uses_one_system(ROOT / "tests/machine/test_names.py")


def test_the_questions_are_in_the_room_of_the_machine() -> None:
    asking = {
        file.relative_to(ROOT).parent.as_posix()
        for file in SOURCES
        if asks_for_system(tree_of(file))
    }
    # The viewers ask whether Linux has a screen.
    assert asking == {"bigunet/machine", "bigunet/viewing", "cli"}


def test_paths_of_linux_are_named_in_the_room_of_the_machine_alone() -> None:
    naming = {
        file.relative_to(ROOT).as_posix()
        for file in SOURCES
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(FILES)
    }
    assert {Path(name).parent.as_posix() for name in naming} == {"bigunet/machine"}


def test_text_is_read_and_written_in_utf_8_on_each_system() -> None:
    """By default Windows takes the code page of its language."""
    assert [line for file in SOURCES for line in _without_encoding(file)] == []


def _without_encoding(file: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(file)):
        if not isinstance(node, ast.Call) or any(k.arg == "encoding" for k in node.keywords):
            continue
        name = getattr(node.func, "attr", "")
        if name in TEXT_CALLS and len(node.args) <= TEXT_CALLS[name]:
            yield f"{file.name}:{node.lineno}"
        # Members of archives are bytes.
        if file.name != "archive.py" and "open" in (name, getattr(node.func, "id", "")):
            modes = {a.value for a in node.args if isinstance(a, ast.Constant)}
            if modes & {"w", "a", "x", "r+", "w+"}:
                yield f"{file.name}:{node.lineno}"


_IMPORT_ALL = """
import importlib, json, os, pkgutil, signal, sys, types
import ctypes.wintypes, multiprocessing.synchronize
missing = json.loads(sys.argv[1])

def import_all():
    import bigunet, bigunet_cli
    for package in (bigunet, bigunet_cli):
        for one in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(one.name)

import_all()  # Packages of others, which have Linux below them.
import numba
# Its cache on the disk asks for flags of this system's files.
numba.njit = lambda **options: lambda function: function
for system, names in missing.items():
    for name in [n for n in sys.modules if n.partition(".")[0] in ("bigunet", "bigunet_cli")]:
        del sys.modules[name]
    blocked = dict.fromkeys(names["modules"])
    kept, attributes = dict(sys.modules), {}
    for module in (os, signal):
        there = [name for name in names[module.__name__] if name in vars(module)]
        attributes[module] = {name: vars(module).pop(name) for name in there}
    linux, sys.platform = sys.platform, system
    sys.modules.update(blocked)
    if system == "win32":
        sys.modules["msvcrt"] = types.ModuleType("msvcrt")
    import_all()
    if system == "win32":
        locks = sys.modules["bigunet.machine.file_locks"]
        # OVERLAPPED has 32 bytes where an address has 8.
        assert ctypes.sizeof(locks._Overlapped) == 32
        assert not hasattr(locks, "_try_unix")
    sys.platform = linux
    for module, values in attributes.items():
        vars(module).update(values)
    for name in blocked:
        sys.modules.pop(name)
        if name in kept:
            sys.modules[name] = kept[name]
print("all")
"""


@pytest.mark.slow
def test_every_module_can_be_imported_without_what_other_systems_lack() -> None:
    missing = {
        system: {
            "modules": sorted(UNIX_MODULES if system == "win32" else {"spwd"}),
            **{m: sorted(names_of(m, "linux") - names_of(m, system)) for m in ("os", "signal")},
        }
        for system in ("win32", "darwin")
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _IMPORT_ALL, json.dumps(missing)],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout == "all\n", done.stderr
