"""The header of a ``.safetensors`` file: names, shapes and types of its tensors, without values.

It is checked before anything is allocated, so that a small damaged file cannot ask for much memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from bigunet.errors import ModelError

# The limit of safetensors itself.
_LARGEST_HEADER = 100_000_000
_ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}
FLOATS = ("F16", "BF16", "F32", "F64")
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a file.

    Parameters
    ----------
    metadata : mapping of str to str
    shapes : mapping of str to tuple of int
    dtypes : mapping of str to str
        Type of each tensor, by its name in safetensors, such as "F32".
    """

    metadata: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]


def read_header(path: Path) -> Header:
    """Read the header of a file.

    Raises
    ------
    ModelError
        If the file is not safetensors, is damaged, or has another length than its header says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 10 or length > min(size - 8, _LARGEST_HEADER):
            raise ModelError(
                "is not a readable .safetensors file: it is cut off or of another kind"
            )
        content = file.read(length)
    try:
        entries = plain_json(content)
    except ValueError as error:
        raise ModelError(f"is not a readable .safetensors file: {str(error)[:60]}") from error
    if not isinstance(entries, dict):
        raise ModelError("is not a readable .safetensors file: its header is no JSON object")
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ModelError("is not a readable .safetensors file: its metadata are no texts")
    weight_bytes = sum(_checked_bytes(name, entry) for name, entry in entries.items())
    if weight_bytes != size - 8 - length:
        raise ModelError(
            f"is not a readable .safetensors file: its header names {weight_bytes} bytes of "
            f"weights, {size - 8 - length} follow: cut off or damaged"
        )
    shapes = {name: tuple(entry["shape"]) for name, entry in entries.items()}
    return Header(metadata, shapes, {name: entry["dtype"] for name, entry in entries.items()})


def plain_json(content: str | bytes) -> Any:
    """Parse JSON from an unknown source; every fault in it raises ValueError."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("no text in UTF-8") from None


def check_fits(header: Header, expected: nn.Module) -> str:
    """Check a file's tensors against a network built on the meta device.

    Returns
    -------
    str
        The prefix of each name in the file: "", "module." or "_orig_mod.".

    Raises
    ------
    ModelError
        If names, shapes or types differ.
    """
    tensors: dict[str, Tensor] = dict(expected.state_dict())
    prefix = common_prefix(header.shapes)
    shapes = {name.removeprefix(prefix): shape for name, shape in header.shapes.items()}
    dtypes = {name.removeprefix(prefix): dtype for name, dtype in header.dtypes.items()}
    differ = differences(shapes, {name: tuple(t.shape) for name, t in tensors.items()})
    if differ:
        raise ModelError(f"the weights do not fit the description: {differ}")
    for name, tensor in tensors.items():
        known = FLOATS if tensor.is_floating_point() else ("I64", "I32")
        if dtypes[name] not in known:
            raise ModelError(
                f"the weights do not fit the description: {name} is {dtypes[name]}, not "
                f"{' or '.join(known)}"
            )
    return prefix


def common_prefix(names: Mapping[str, Any]) -> str:
    """The prefix that DataParallel or torch.compile wrote before every name.

    >>> common_prefix({"module._orig_mod.a": 0, "module._orig_mod.b": 0})
    'module._orig_mod.'
    """
    prefix = ""
    while names:
        more = next(
            (m for m in ("module.", "_orig_mod.") if all(n.startswith(prefix + m) for n in names)),
            None,
        )
        if more is None:
            break
        prefix += more
    return prefix


def differences(
    shapes: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]
) -> str:
    """How the shapes of tensors differ from the expected ones, in a few words; empty if equal."""
    missing = [name for name in expected if name not in shapes]
    surplus = [name for name in shapes if name not in expected]
    other = [name for name in expected if name in shapes and shapes[name] != expected[name]]
    parts = []
    if missing:
        parts.append(f"{len(missing)} of {len(expected)} tensors missing ({_some(missing)})")
    if surplus:
        parts.append(f"{len(surplus)} too many ({_some(surplus)})")
    if other:
        name = other[0]
        parts.append(
            f"{len(other)} of {len(expected)} of another shape "
            f"({_short(name)} {str(shapes[name])[:40]}, not {str(expected[name])[:40]})"
        )
    return "; ".join(parts)


def _some(names: list[str]) -> str:
    shown = [_short(name) for name in names[: _MOST_NAMED - 1]]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")


def _short(name: str) -> str:
    return name if len(name) <= 30 else f"…{name[-28:]}"


def _checked_bytes(name: str, entry: Any) -> int:
    """Number of bytes of a tensor, if its entry is valid."""
    try:
        shape: list[int] = entry["shape"]
        begin, end = entry["data_offsets"]
        item = _ITEM_BYTES[entry["dtype"]]
        whole = [*shape, begin, end]
        if not all(type(n) is int and 0 <= n < 2**63 for n in whole) or len(shape) > 8:
            raise ValueError
        if math.prod(shape) * item != end - begin:
            raise ValueError
        return int(end - begin)
    except (KeyError, TypeError, ValueError):
        raise ModelError(
            f"is not a readable .safetensors file: the entry of tensor {_short(name)!r} is damaged"
        ) from None
