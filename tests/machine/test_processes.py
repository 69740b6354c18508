"""Laws of programs that cannot start processes: an error says so before any is started."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from bigunet.errors import ClusterError
from bigunet.machine.processes import check_processes

ASK = """
from bigunet.machine.processes import check_processes
from bigunet.errors import ClusterError
def ask():
    try:
        check_processes()
    except ClusterError as error:
        print(error)
    else:
        print("fine")
"""


def printed(*command: str, program: str = "") -> str:
    done = subprocess.run(
        [sys.executable, *command], input=program, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("call", "line"),
    [
        ("ask()", 11),
        ("if True:\n    ask()", 12),
        ("def main():\n    ask()\nmain()", 13),
        ("exec('ask()')", 11),
        ("exec('''\\n\\nask()''', globals())", 11),
        ("import threading\nt = threading.Thread(target=ask)\nt.start(); t.join()", 13),
        ('if __name__ == "__main__":\n    name = 1\nask()', 13),
        ('if __name__ == "__main__":\n    ask()', 0),
        ('if "__main__" == __name__:\n    if True:\n        ask()', 0),
        ('if __name__ != "__main__":\n    pass\nelse:\n    ask()', 0),
        ('import sys\nif __name__ != "__main__":\n    sys.exit()\nask()', 0),
        ("import multiprocessing as m\nif m.parent_process() is None:\n    ask()", 0),
    ],
)
def test_a_script_that_would_run_again_in_each_worker_is_told_its_line(
    tmp_path: Path, call: str, line: int
) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"{ASK}{call}\n")
    output = printed(str(script))
    assert output == "fine" if line == 0 else f"line {line} of script.py would run again" in output
    if line:
        assert 'under `if __name__ == "__main__":`' in output
        assert "client=ClusterSpec('threads')" in output
        assert len(output) <= 200


def test_a_program_from_stdin_is_told_that_it_is_no_file_and_one_that_is_a_string_is_fine() -> None:
    assert "the program is <stdin>, not a file" in printed("-", program=f"{ASK}ask()\n")
    assert printed("-c", f"{ASK}ask()") == "fine"
    # Typed into Python's prompt, which ends a function with an empty line.
    assert "fine" in printed("-i", program=f"{ASK}\nask()\n")


def test_a_module_with_a_guard_is_fine_and_a_package_is_never_run_again(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(f"{ASK}ask()\n")
    (package / "module.py").write_text(f"{ASK}ask()\n")
    run = f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r}); "
    run += "runpy.run_module({!r}, run_name='__main__', alter_sys=True)"
    assert printed("-c", run.format("package")) == "fine"
    assert "line 11 of module.py" in printed("-c", run.format("package.module"))


@pytest.mark.parametrize(
    ("executable", "reason"),
    [("''", "embedded in another program"), ("'/bin/sh'", "/bin/sh is no Python")],
)
def test_a_python_within_another_program_cannot_start_others(executable: str, reason: str) -> None:
    output = printed("-c", f"import sys; sys.executable = {executable}\n{ASK}ask()")
    assert reason in output
    assert "__main__" not in output


def _ask(outcome: object) -> None:
    try:
        check_processes("loaders=0")
    except ClusterError as error:
        outcome.put(str(error))  # type: ignore[attr-defined]


def test_a_process_of_a_pool_may_start_none() -> None:
    context = multiprocessing.get_context("fork")
    outcome = context.Queue()
    process = context.Process(target=_ask, args=(outcome,), name="ForkPool-1", daemon=True)
    process.start()
    output = outcome.get(timeout=30)
    process.join()
    assert output == (
        "cannot start processes: ForkPool-1 was started by multiprocessing, and may start none; "
        "give loaders=0"
    )


def test_a_script_whose_guard_cannot_be_seen_ends_with_one_line(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from bigunet.machine.processes import leave_if_imported_again\n"
        "leave_if_imported_again()\n"
        "import multiprocessing\n"
        "process = multiprocessing.get_context('spawn').Process(target=print, args=(1,))\n"
        "process.start()\n"
        "process.join()\n"
        "print(process.exitcode)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "1\n"
    assert len(done.stderr.splitlines()) == 1
    assert "is called while the script is imported: put the call under" in done.stderr
