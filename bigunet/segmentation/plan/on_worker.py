"""Calls a function on one of the workers, for what must be measured there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from distributed import Client

from bigunet.errors import BigUNetError, ClusterError

_R = TypeVar("_R")


def on_a_worker(client: Client, function: Callable[..., _R], *args: object, what: str) -> _R:
    """The result of a function on a worker; ``what`` names it in a message.

    Raises
    ------
    ClusterError
        If the worker was lost, or the function failed in an unforeseen way.
    BigUNetError
        The error that the function raised.
    """
    future = client.submit(function, *args, pure=False)
    try:
        return cast(_R, future.result())
    except BigUNetError:
        raise
    except Exception as error:
        raise ClusterError(f"{what} failed on a worker: {error}") from error
    finally:
        future.release()
