"""Whether workers have the packages that this process has, before they are sent any work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from distributed import Client

from bigunet.errors import ClusterError

# Of these the first two numbers count: pickles and networks are read across patches.
_BY_MINOR = ("python", "dask", "distributed", "torch", "zarr", "openvino")
# A worker that lacks it would compute by something else.
_OPTIONAL = ("openvino",)
_NAMES = ("bigunet", *_BY_MINOR[1:])
# An expression, since a function would be looked for in bigunet, and does not travel between
# versions of Python.
_ASK = f"""(lambda metadata, platform: {{
    "python": platform.python_version(),
    "executable": __import__("sys").executable,
    "host": platform.node(),
    **{{name: next((found.version for found in metadata.distributions(name=name)), "")
       for name in {_NAMES!r}}},
}})(__import__("importlib.metadata").metadata, __import__("platform"))"""


def check_environments(client: Client, workers: Collection[str] | None = None) -> None:
    """See that workers have bigunet in this version, and what it needs in versions that go with it.

    Parameters
    ----------
    client : distributed.Client
    workers : collection of str, optional
        Their addresses; by default all that there are.

    Raises
    ------
    ClusterError
        In one line that names a worker, and both versions.
    """
    asked = None if workers is None else list(workers)
    # One that is lost meanwhile is not asked.
    told = client.run(eval, _ASK, workers=asked, on_error="ignore")
    here = versions()
    wrong = {
        worker: differs for worker, there in told.items() if (differs := differences(there, here))
    }
    if not wrong:
        return
    worker, differs = next(iter(wrong.items()))
    others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    raise ClusterError(
        f"worker {worker} on {told[worker]['host']}{others} has {', '.join(differs)}: start "
        f"workers from the environment of this command, or install the same there (its Python is "
        f"{told[worker]['executable']})"
    )


def versions() -> dict[str, str]:
    """What this process has, as `differences` compares it."""
    found: dict[str, str] = eval(_ASK)
    return found


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What keeps a worker from doing this process's work.

    >>> differences({"bigunet": "", "python": "3.11.2"}, {"bigunet": "0.1.0", "python": "3.11.7"})
    ['no bigunet (here 0.1.0)']
    """
    found = []
    for name in ("bigunet", *_BY_MINOR):
        has, wanted = there.get(name, ""), here.get(name, "")
        depth = 2 if name in _BY_MINOR else None
        if name in _OPTIONAL and not wanted:
            continue
        if has.split(".")[:depth] != wanted.split(".")[:depth]:
            found.append(f"{name} {has} (here {wanted})" if has else f"no {name} (here {wanted})")
    return found
