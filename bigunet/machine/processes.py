"""Checks whether this Python can start worker processes, before it starts any.

Each process that Python starts imports the program's main module again. If a script calls bigunet
outside of ``if __name__ == "__main__":``, each of its workers would start workers, too. A program
that is not in a file cannot be imported at all.
"""

from __future__ import annotations

import ast
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from multiprocessing import spawn
from pathlib import Path
from types import FrameType
from typing import Any

from bigunet.errors import ClusterError

GUARD = 'if __name__ == "__main__":'
# Names of the processes that bigunet starts. They print no error: their starter reports it.
_OWN_PROCESSES = ("Dask Worker process", "train-")
_THREADS = "client=ClusterSpec('threads')"
_ASKING = ("__name__", "current_process", "parent_process")
_LEAVING = ("exit", "_exit", "quit")


def leave_if_imported_again() -> None:
    """End this process if it is a worker that imports a script without a guard.

    Every function that may start workers calls this first. The process that started this one sees
    it end, and reports why.
    """
    process = multiprocessing.current_process()
    if not getattr(process, "_inheriting", False):
        return
    if not process.name.startswith(_OWN_PROCESSES):
        sys.stderr.write(f"Error: bigunet is called while the script is imported: {_remedy()}\n")
    raise SystemExit(1)


def check_processes(instead: str = _THREADS) -> None:
    """Raise if this Python cannot start processes, as far as that can be known beforehand.

    Parameters
    ----------
    instead : str
        The argument with which a caller needs no process; the error names it.

    Raises
    ------
    ClusterError
        If it cannot. The error says why, and what to do.
    """
    if reason := _why_never():
        raise ClusterError(f"cannot start processes: {reason}; give {instead}")
    if reason := _why_not_imported(_imported_again()):
        raise ClusterError(f"cannot start processes: {reason}; {_remedy(instead)}")


def can_start_processes() -> bool:
    """Whether :func:`check_processes` raises nothing."""
    return not (_why_never() or _why_not_imported(_imported_again()))


def _remedy(instead: str = _THREADS) -> str:
    return f"put the call under `{GUARD}` in a file, or give {instead}"


def _why_never() -> str:
    """Why this Python can start no process, whatever the program is; empty if it can."""
    process = multiprocessing.current_process()
    if process.daemon:
        return f"{process.name} was started by multiprocessing, and may start none"
    executable = os.fsdecode(spawn.get_executable() or "")
    if _is_python(executable):
        return ""
    why = f"{executable} is no Python" if executable else "it is embedded in another program"
    return f"this Python cannot start others, as {why}"


def _is_python(executable: str) -> bool:
    name = Path(executable).name.lower()
    return os.access(executable, os.X_OK) and ("py" in name or "ython" in name)


def _imported_again() -> Path | None:
    """The file of the main module that a new process would import; None if it imports none."""
    main = sys.modules.get("__main__")
    name = getattr(getattr(main, "__spec__", None), "name", None)
    path = getattr(main, "__file__", None)
    if main is None or path is None or (name or "").rpartition(".")[2] == "__main__":
        return None
    file = Path(os.path.join(multiprocessing.process.ORIGINAL_DIR or "", path))  # type: ignore[attr-defined]
    return None if file.stem == "ipython" else file


def _why_not_imported(path: Path | None) -> str:
    """Why new processes cannot import the main module safely; empty if they can."""
    if path is None:
        return ""
    if not path.is_file():
        return f"the program is {path.name}, not a file that they could import"
    for frame in _frames():
        line = _line_of_main(frame)
        if line and not _is_guarded(path, line):
            return f"line {line} of {path.name} would run again in each"
    return ""


def _frames() -> Iterator[FrameType]:
    """The frames that called this function, and those of the main thread."""
    main = threading.main_thread().ident
    for frame in (sys._getframe(), sys._current_frames().get(main or 0)):
        while frame is not None:
            yield frame
            frame = frame.f_back


def _line_of_main(frame: FrameType) -> int:
    """The line at which a frame is, if its code is the main module's own; 0 in a function."""
    main = sys.modules["__main__"]
    own = frame.f_globals is vars(main) and frame.f_code.co_name == "<module>"
    # A string that the module executes has its own line numbers.
    here = Path(frame.f_code.co_filename).name == Path(main.__file__ or "").name
    return frame.f_lineno if own and here else 0


def _is_guarded(path: Path, line: int) -> bool:
    """Whether a line runs only if the file is the program; True if that cannot be known."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return True
    for node in ast.walk(tree):
        if not isinstance(node, ast.If) or not _asks_who_imports(node.test):
            continue
        end = node.end_lineno or node.lineno
        if node.lineno <= line <= end or (end < line and _leaves(node.body[-1])):
            return True
    return False


def _asks_who_imports(test: ast.expr) -> bool:
    return any(_name(node) in _ASKING for node in ast.walk(test))


def _leaves(statement: ast.stmt) -> bool:
    """Whether a statement ends the module, so that nothing after it runs."""
    if isinstance(statement, ast.Raise):
        return True
    called: Any = getattr(statement, "value", None)
    return isinstance(called, ast.Call) and _name(called.func) in _LEAVING


def _name(node: ast.AST) -> str:
    return str(getattr(node, "id", "") or getattr(node, "attr", ""))
