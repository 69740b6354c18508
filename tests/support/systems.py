"""What Python has on some systems and not on others, as the stubs of mypy say."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import mypy

SYSTEMS = ("linux", "darwin", "win32")
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


# Each name that one of the systems lacks.
PARTIAL = {
    module: frozenset().union(*(names_of(module, one) for one in SYSTEMS))
    - frozenset.intersection(*(names_of(module, one) for one in SYSTEMS))
    for module in ("os", "signal", "time")
}


def unguarded(nodes: list[ast.AST] | list[ast.stmt]) -> Iterator[str]:
    """What a module uses of one system without asking ``sys.platform`` or ``hasattr`` around it."""
    for node in nodes:
        if isinstance(node, ast.If | ast.IfExp | ast.FunctionDef) and asks_for_system(node):
            continue
        yield from _of_one_system(node)
        yield from unguarded(list(ast.iter_child_nodes(node)))


def asks_for_system(node: ast.AST) -> bool:
    """Whether there is an ``if`` in it that asks which system this is, or what it has."""
    for one in ast.walk(node):
        test = ast.unparse(one.test) if isinstance(one, ast.If | ast.IfExp) else ""
        if "sys.platform" in test or "hasattr(os, " in test:
            return True
    return False


def _of_one_system(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (one.name for one in names if one.name in UNIX_MODULES | WINDOWS_MODULES)
        case ast.ImportFrom(module=str(module), names=names):
            if module in UNIX_MODULES | WINDOWS_MODULES:
                yield module
            yield from (one.name for one in names if one.name in PARTIAL.get(module, ()))
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            if name in PARTIAL.get(module, ()):
                yield f"{module}.{name}"


def used_unasked(tree: ast.Module) -> list[str]:
    """What a module uses of one system without a question."""
    # Most modules use nothing of this kind, and one look at them is enough.
    uses = any(True for node in ast.walk(tree) for _ in _of_one_system(node))
    return list(unguarded(tree.body)) if uses else []


def uses_one_system(file: Path) -> bool:
    """Whether a module uses what one of the systems lacks, without a question."""
    return used_unasked(ast.parse(file.read_text("utf-8"))) != []
