"""Checks that workers have the packages of this process, before they get any work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from distributed import Client

from bigunet.errors import ClusterError

# The first two numbers of these versions must be equal. A patch changes no pickle and no network.
_BY_MINOR = ("python", "dask", "distributed", "torch", "zarr", "openvino")
# Workers need these only if the client has them: they would compute with another backend.
_OPTIONAL = ("openvino",)
_NAMES = ("bigunet", *_BY_MINOR[1:])
# An expression as text: a function would be imported from bigunet, which may be missing, and cannot
# travel between versions of Python.
_ASK = f"""(lambda metadata, platform: {{
    "python": platform.python_version(),
    "executable": __import__("sys").executable,
    "host": platform.node(),
    **{{name: next((found.version for found in metadata.distributions(name=name)), "")
       for name in {_NAMES!r}}},
}})(__import__("importlib.metadata").metadata, __import__("platform"))"""


def check_environments(client: Client, workers: Collection[str] | None = None) -> None:
    """Raise if workers lack this version of bigunet, or versions of packages that fit it.

    Parameters
    ----------
    client : distributed.Client
    workers : collection of str, optional
        Addresses of the workers to check; by default all.

    Raises
    ------
    ClusterError
        The line names a worker and both versions.
    """
    addresses = None if workers is None else list(workers)
    # A worker that is lost meanwhile gives no answer.
    answers = client.run(eval, _ASK, workers=addresses, on_error="ignore")
    here = versions()
    wrong = {
        worker: differs
        for worker, there in answers.items()
        if (differs := differences(there, here))
    }
    if not wrong:
        return
    worker, differs = next(iter(wrong.items()))
    others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    raise ClusterError(
        f"worker {worker} on {answers[worker]['host']}{others} has {', '.join(differs)}: start "
        f"workers from the environment of this command, or install the same there (its Python is "
        f"{answers[worker]['executable']})"
    )


def versions() -> dict[str, str]:
    """Versions of this process's packages, for `differences`."""
    own: dict[str, str] = eval(_ASK)
    return own


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """The packages with which a worker cannot do this process's work, each with both versions.

    >>> differences({"bigunet": "", "python": "3.11.2"}, {"bigunet": "0.1.0", "python": "3.11.7"})
    ['no bigunet (here 0.1.0)']
    """
    lines = []
    for name in ("bigunet", *_BY_MINOR):
        version, own = there.get(name, ""), here.get(name, "")
        depth = 2 if name in _BY_MINOR else None
        if name in _OPTIONAL and not own:
            continue
        if version.split(".")[:depth] != own.split(".")[:depth]:
            there_is = f"{name} {version}" if version else f"no {name}"
            lines.append(f"{there_is} (here {own})")
    return lines
