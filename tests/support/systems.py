"""What Python has on some systems and not on others, as the stubs of mypy say."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import mypy

STUBS = Path(mypy.__file__).parent / "typeshed" / "stdlib"

# Modules of the standard library that Linux has, and Windows has not.
UNIX_MODULES = frozenset(
    {"crypt", "curses", "fcntl", "grp", "nis", "ossaudiodev", "posix", "pty", "pwd", "readline"}
    | {"resource", "spwd", "syslog", "termios", "tty"}
)
WINDOWS_MODULES = frozenset({"_winapi", "msvcrt", "nt", "winreg", "winsound"})


def names_of(module: str, system: str) -> frozenset[str]:
    """Names that a module of the standard library has on a system.

    Parameters
    ----------
    module : {"os", "signal", "time"}
    system : {"linux", "darwin", "win32"}
    """
    folder = STUBS / module / "__init__.pyi"
    stub = folder if folder.is_file() else STUBS / f"{module}.pyi"
    return frozenset(_names(ast.parse(stub.read_text()).body, system))


def _names(body: list[ast.stmt], system: str) -> Iterator[str]:
    for node in body:
        match node:
            case ast.If():
                yield from _names(node.body if _holds(node.test, system) else node.orelse, system)
            case ast.FunctionDef() | ast.ClassDef():
                yield node.name
                if isinstance(node, ast.ClassDef) and node.name == "Signals":
                    yield from _names(node.body, system)
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                yield name
            case ast.ImportFrom() | ast.Import():
                yield from (one.asname or one.name for one in node.names)


def _holds(test: ast.expr, system: str) -> bool:
    names = {"sys": _Sys(system), "TYPE_CHECKING": True}
    return bool(eval(compile(ast.Expression(test), "stub", "eval"), names))


class _Sys:
    version_info = sys.version_info

    def __init__(self, platform: str) -> None:
        self.platform = platform
