"""Files and folders of other programs, given as a model: the error names them and a remedy."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bigunet.errors import ModelError
from bigunet.model.files.model_file import load_model


class Runs:
    """A pickle that would do harm if it were loaded."""

    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("it was unpickled",))


def written(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def zipped(*names: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "")

    return write


def folder_with(*names: str) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        path.mkdir()
        for name in names:
            (path / name).touch()

    return make


ONNX = b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x8e\x01"


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.pt", lambda p: torch.save({"w": Runs()}, p), "a checkpoint of torch.save"),
        (
            "old.pth",
            lambda p: torch.save([Runs()], p, _use_new_zipfile_serialization=False),
            "a pickle .*: load it in Python into your network",
        ),
        ("a.pkl", lambda p: p.write_bytes(pickle.dumps(Runs())), "a pickle"),
        ("net.safetensors", lambda p: p.write_bytes(pickle.dumps(Runs())), "a pickle"),
        ("a.ckpt", lambda p: torch.save({"state_dict": Runs()}, p), "a checkpoint of torch.save"),
        (
            "a.pt2",
            zipped("a/archive_format", "a/models/model.json"),
            "a program of torch.export.*--trust",
        ),
        ("a.keras", zipped("config.json", "model.weights.h5"), "a Keras model"),
        ("a.npz", zipped("weights.npy"), "an archive of NumPy arrays"),
        ("a.zip", zipped("readme"), "a zip archive, .*: unpack it first"),
        ("a.zip", written(b"PK\x03\x04 and no more"), "a damaged zip archive"),
        ("a.onnx", written(ONNX), "cannot be read as ONNX .*fetch it again"),
        ("a.bin", written(ONNX), "cannot be read as ONNX"),
        ("a.pt", zipped("a/data.pkl", "a/constants.pkl"), "a TorchScript module.*--trust"),
        ("a.h5", written(b"\x89HDF\r\n\x1a\n" + bytes(90)), "an HDF5 file .*PyTorch networks"),
        ("a.tflite", written(b"\x1c\0\0\0TFL3" + bytes(90)), "a TensorFlow Lite model"),
        ("a.tif", written(b"II*\0" + bytes(90)), "a TIFF image, .*give it as IN"),
        ("a.png", written(b"\x89PNG\r\n\x1a\n"), "a PNG image"),
        ("a.npy", written(b"\x93NUMPY\x01\0"), "a NumPy array"),
        ("a.gz", written(b"\x1f\x8b\x08"), "a gzip archive"),
        ("a.xml", written(b"<?xml version='1.0'?>\n<net name='a'>"), "an OpenVINO model"),
        ("a.safetensors", written(b"<!DOCTYPE html><html>"), "a web page, .*the download"),
        ("a.safetensors", written(b"version https://git-lfs.github.com/"), "pointer of Git LFS"),
        ("a.yaml", written(b"model: unet\n"), "a text file"),
        ("a.safetensors", written(b""), "an empty file"),
        ("a.safetensors", written(b"\xff" * 100), r"is not a readable \.safetensors file"),
        ("a.zarr", folder_with("zarr.json"), "a zarr image or array"),
        ("nnunet", folder_with("plans.json"), "a model folder of nnU-Net"),
        ("hub", folder_with("m.safetensors"), "a folder, .*give the file in it: m.safetensors"),
        ("empty", folder_with(), "a folder, .*one .safetensors file"),
        (
            "timm.safetensors",
            lambda p: save_file(nn.Conv2d(1, 2, 3).state_dict(), p),
            r"2 tensors without a bigunet description, .*save_model, or give Model.of_module",
        ),
    ],
)
def test_the_error_names_it_and_a_remedy_and_never_unpickles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: Callable[[Path], object],
    message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write(Path(name))
    with pytest.raises(ModelError, match=message) as caught:
        load_model(name)
    assert len(str(caught.value)) <= 200
    assert name in str(caught.value)


def test_a_module_in_the_place_of_a_path_is_refused_with_a_remedy() -> None:
    with pytest.raises(ModelError, match=r"a Conv2d is neither a name nor a path .*of_module"):
        load_model(nn.Conv2d(1, 2, 3))  # type: ignore[arg-type]
