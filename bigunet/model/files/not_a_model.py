"""The kind of a file that is no model of bigunet, from its first bytes; no pickle is loaded."""

from __future__ import annotations

import zipfile
from pathlib import Path

_IN_PYTHON = "load it in Python and give bigunet.Model.of_module(module, ndim=2)"
_LOAD_STATE = (
    "load it in Python into your network: bigunet.Model.of_module(network, ndim=2), or --model "
    "module:function --trust"
)
_EXPORT = "give bigunet.Model.of_module the PyTorch network that it was made from"
_IMAGE = "an image is what is segmented, not the model: give it as IN"

_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (
        b"\x89HDF\r\n\x1a\n",
        "an HDF5 file (Keras .h5, or an image)",
        "bigunet runs PyTorch networks",
    ),
    (b"\x89PNG", "a PNG image", _IMAGE),
    (b"\xff\xd8\xff", "a JPEG image", _IMAGE),
    (b"II*\0", "a TIFF image", _IMAGE),
    (b"MM\0*", "a TIFF image", _IMAGE),
    (b"II+\0", "a TIFF image", _IMAGE),
    (b"MM\0+", "a TIFF image", _IMAGE),
    (b"ZISRAWFILE", "a CZI image", _IMAGE),
    (b"\x93NUMPY", "a NumPy array", _IMAGE),
    (b"GGUF", "a GGUF file of a language model", "bigunet runs PyTorch networks"),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself: git lfs pull"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it first"),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"\xfd7zXZ", "an xz archive", "unpack it first"),
)
# The first instruction of a pickle and its protocol.
_PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
_MOST_MEMBERS = 10_000


def kind_of_file(path: Path) -> tuple[str, str] | None:
    r"""The kind of a file, and what to do with it; None if it may be safetensors.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "image.png")
    ...     _ = path.write_bytes(b"\x89PNG and so on")
    ...     kind_of_file(path)[0]
    'a PNG image'
    """
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return "an empty file", "fetch it again"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        # Safetensors: its first bytes are a length, which may look like another kind's first bytes.
        return None
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return _kind_of_zip(path)
    for magic, what, advice in _MAGIC:
        if head.startswith(magic):
            return what, advice
    if head.startswith(_PICKLES):
        return "a pickle (an old torch.save, or a checkpoint)", _LOAD_STATE
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model", "bigunet runs PyTorch networks"
    if _is_onnx(head, path):
        return "an ONNX model", _EXPORT
    return _kind_of_text(head)


def kind_of_folder(path: Path) -> tuple[str, str]:
    """The kind of a folder, and what to do with it."""
    holds = {name: (path / name).exists() for name in _FOLDERS}
    for name, (what, advice) in _FOLDERS.items():
        if holds[name]:
            return what, advice
    files = sorted(p.name for p in path.glob("*.safetensors"))
    if files:
        return "a folder", f"give the file in it: {files[0][-60:]}"
    return "a folder", "a model is one .safetensors file"


_FOLDERS = {
    "saved_model.pb": ("a TensorFlow SavedModel", "bigunet runs PyTorch networks"),
    "zarr.json": ("a zarr image or array", _IMAGE),
    ".zattrs": ("a zarr image", _IMAGE),
    ".zgroup": ("a zarr group", _IMAGE),
    ".zarray": ("a zarr array", _IMAGE),
    "plans.json": ("a model folder of nnU-Net", _IN_PYTHON),
    "config.json": ("a model folder of Hugging Face", _IN_PYTHON),
    ".metadata": ("a distributed checkpoint", _LOAD_STATE),
}


def _kind_of_zip(path: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()[:_MOST_MEMBERS]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "a damaged zip archive", "fetch it again"
    inner = {name.partition("/")[2] or name for name in names} | set(names)
    if {"data.pkl", "constants.pkl"} <= inner:
        return "a TorchScript module", f"torch.jit.{_IN_PYTHON}"
    if "data.pkl" in inner:
        return "a checkpoint of torch.save", _LOAD_STATE
    if any(
        n.endswith(("serialized_exported_program.json", "model.json", "archive_format"))
        for n in inner
    ):
        return "a program of torch.export", _EXPORT
    if "model.weights.h5" in inner:
        return "a Keras model", "bigunet runs PyTorch networks"
    if any(n.endswith(".npy") for n in inner):
        return "an archive of NumPy arrays", _LOAD_STATE
    if any(n.endswith(("zarr.json", ".zarray", ".zattrs")) for n in inner):
        return "a zipped zarr image", _IMAGE
    return "a zip archive", "unpack it first"


def _is_onnx(head: bytes, path: Path) -> bool:
    """Whether it is a protobuf with a small version as first field, and then a text or a graph."""
    starts = len(head) > 3 and head[0] == 0x08 and head[1] < 32 and head[2] in range(0x10, 0x43)
    return starts and (path.suffix == ".onnx" or head[2] in (0x12, 0x3A, 0x42))


def _kind_of_text(head: bytes) -> tuple[str, str] | None:
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page", "the download went wrong: fetch the file itself"
    if start.startswith(b"<?xml") and b"<net" in start:
        return "an OpenVINO model", _EXPORT
    try:
        text = head.decode("ascii")
    except UnicodeDecodeError:
        return None
    printable = all(c.isprintable() or c.isspace() for c in text)
    return ("a text file", "a model is one .safetensors file") if printable else None
