"""The files of packages: nothing outside is read, and nothing that was changed."""

import os
import zipfile
from pathlib import Path

import pytest
from support.model_packages import sha256

from bigunet.errors import ModelError
from bigunet.model.packages.package_files import find_package, local_name
from bigunet.model.packages.yaml_text import read_yaml

OUTSIDE = [
    "../secret",
    "a/../../secret",
    "/etc/passwd",
    "\\\\host\\file",
    "C:/secret",
    "..\\secret",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leaves_the_package_is_refused(name) -> None:
    with pytest.raises(ModelError, match="outside of the package"):
        local_name(name)


@pytest.mark.parametrize("name", ["https://a.org/w.pt", "http:w", "s3://b/w", "file:///etc/passwd"])
def test_a_url_is_refused_and_never_fetched(name) -> None:
    with pytest.raises(ModelError, match="downloads nothing"):
        local_name(name)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path) -> None:
    (tmp_path / "secret").write_text("x")
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "rdf.yaml").write_text("a: 1")
    os.symlink(tmp_path / "secret", folder / "weights.onnx")
    files = find_package(folder)
    assert files is not None
    with pytest.raises(ModelError, match="outside of the package"):
        files.read("weights.onnx")


@pytest.mark.parametrize("inner", ["", "model/"], ids=["at the top", "in a folder"])
def test_a_zip_is_read_without_being_unpacked(tmp_path, inner) -> None:
    path = tmp_path / "package.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{inner}rdf.yaml", "a: 1")
        archive.writestr(f"{inner}w.bin", b"weights")
    files = find_package(path)
    assert files is not None
    assert files.read("w.bin", sha256(b"weights")) == b"weights"
    with pytest.raises(ModelError, match=r"w\.bin has the SHA-256"):
        files.read("w.bin", sha256(b"others"))
    with pytest.raises(ModelError, match="not in the package"):
        files.read("absent.bin")
    assert os.listdir(tmp_path) == ["package.zip"]


def test_an_entry_larger_than_memory_is_refused_before_it_is_unpacked(
    tmp_path, monkeypatch
) -> None:
    path = tmp_path / "package.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rdf.yaml", "a: 1")
        archive.writestr("w.bin", bytes(10_000))
    module = "bigunet.model.packages.package_files"
    monkeypatch.setattr(f"{module}.usable_memory_bytes", lambda: 9_999)
    files = find_package(path)
    assert files is not None
    with pytest.raises(ModelError, match="GB of memory"):
        files.read("w.bin")


@pytest.mark.parametrize("name", ["notes.txt", "image.zip"])
def test_other_files_are_no_packages(tmp_path, name) -> None:
    path = tmp_path / name
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("zarr.json", "{}")
    else:
        path.write_text("hello")
    assert find_package(path) is None
    assert find_package(Path(tmp_path)) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[1, 2]", "no YAML mapping"),
        (b"a: [", "is no YAML"),
        (b"a: !!python/object/apply:os.system ['true']", "is no YAML"),
        (b"\xff\xfe", "is no YAML"),
        (b"a: &a 1\nb: [" + b", ".join([b"*a"] * 300) + b"]", "aliases"),
        (b"a: " + b"[" * 400, "is no YAML"),
        (b" " * 3_000_000, "bytes"),
    ],
    ids=["list", "cut", "python", "binary", "aliases", "deep", "long"],
)
def test_yaml_that_is_no_description_is_refused(text, message) -> None:
    with pytest.raises(ModelError, match=message):
        read_yaml(text)
