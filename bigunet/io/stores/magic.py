"""What kind of file some first bytes and a name are of, and what to do with one; opens nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass

_BF2RAW = "convert it to OME-Zarr with bioformats2raw (github.com/glencoesoftware/bioformats2raw)"
_NGFF_ZARR = "convert it to OME-Zarr with ngff-zarr (pip install 'ngff-zarr[all]')"
_NUMPY = "write it with zarr.save_array(PATH, ARRAY), or zarr.create_array for chunks"
_MODEL = "it is a model, no image; bigunet segment IN --model MODEL runs one"
_TORCH = (
    "it is a model, no image; load it in Python and give bigunet.Model.of_module(module, ndim=2)"
)
_OTHER_MODEL = "it is a model, no image; bigunet runs PyTorch networks"
_UNPACK = "unpack it, and give the zarr inside"

FIRST_BYTES = 560
"""How many of them are looked at: a DICOM file is known by bytes 128 to 132, tar by 257 to 262."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file.

    Parameters
    ----------
    name : str
        With its article: "a TIFF file".
    advice : str
        What to do, as a command.
    """

    name: str
    advice: str


TIFF = Kind("a TIFF file", _BF2RAW)
_PICTURE = "convert it to OME-Zarr with ngff-zarr, or read it in Python and write a zarr array"
# More of a name than its magic bytes tell: these are TIFFs, zips or HDF5s inside.
_BY_NAME = {
    ".svs": Kind("an Aperio slide (SVS)", _BF2RAW),
    ".ndpi": Kind("a Hamamatsu slide (NDPI)", _BF2RAW),
    ".scn": Kind("a Leica slide (SCN)", _BF2RAW),
    ".mrxs": Kind("a 3DHISTECH slide (MRXS)", _BF2RAW),
    ".vsi": Kind("an Olympus slide (VSI)", _BF2RAW),
    ".qptiff": Kind("an Akoya slide (QPTIFF)", _BF2RAW),
    ".lsm": Kind("a Zeiss LSM file", _BF2RAW),
    ".stk": Kind("a MetaMorph stack", _BF2RAW),
    ".ims": Kind("an Imaris file", _BF2RAW),
    ".oib": Kind("an Olympus OIB file", _BF2RAW),
    ".oif": Kind("an Olympus OIF file", _BF2RAW),
    ".dv": Kind("a DeltaVision file", _BF2RAW),
    ".nrrd": Kind("an NRRD file", _NGFF_ZARR),
    ".mha": Kind("a MetaImage file", _NGFF_ZARR),
    ".pt": Kind("a PyTorch file", _TORCH),
    ".pth": Kind("a PyTorch file", _TORCH),
    ".ckpt": Kind("a PyTorch checkpoint", _TORCH),
    ".onnx": Kind("an ONNX model", _OTHER_MODEL),
    ".safetensors": Kind("a model file (safetensors)", _MODEL),
    ".keras": Kind("a Keras model", _OTHER_MODEL),
}
_CZI = Kind("a Zeiss CZI file", _BF2RAW)
_ND2 = Kind("a Nikon ND2 file", _BF2RAW)
_LIF = Kind("a Leica LIF file", _BF2RAW)
_HDF5 = Kind("an HDF5 file", "read it with h5py, and " + _NUMPY)
_NIFTI = Kind("a NIfTI file", _NGFF_ZARR)
_MRC = Kind("an MRC file", "read it with mrcfile, and " + _NUMPY)
# For what is too old, or too damaged, to be known by its bytes.
_BY_SUFFIX = {
    ".czi": _CZI,
    ".nd2": _ND2,
    ".lif": _LIF,
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".nii": _NIFTI,
    ".mrc": _MRC,
    ".tif": TIFF,
    ".tiff": TIFF,
}
_BY_START = (
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", Kind("a BigTIFF file", _BF2RAW)),
    (b"MM\0+", Kind("a BigTIFF file", _BF2RAW)),
    (b"\x89PNG\r\n\x1a\n", Kind("a PNG picture", _PICTURE)),
    (b"\xff\xd8\xff", Kind("a JPEG picture", _PICTURE)),
    (b"GIF8", Kind("a GIF picture", _PICTURE)),
    (b"BM", Kind("a BMP picture", _PICTURE)),
    (b"\0\0\0\x0cjP  ", Kind("a JPEG 2000 file", _BF2RAW)),
    (b"ZISRAWFILE", _CZI),
    (b"\xda\xce\xbe\x0a", _ND2),
    (b"\x89HDF\r\n\x1a\n", _HDF5),
    (b"\x93NUMPY", Kind("a numpy file", "load it with numpy, and " + _NUMPY)),
    (b"\x1f\x8b", Kind("a gzip file", _UNPACK)),
    (b"BZh", Kind("a bzip2 file", _UNPACK)),
    (b"\xfd7zXZ\0", Kind("an xz file", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", _UNPACK)),
    (b"Rar!", Kind("a RAR archive", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", Kind("a zstd file", _UNPACK)),
    (b"%PDF", Kind("a PDF file", "give an image")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind("an OLE file, such as ZVI or OIB", _BF2RAW)),
    (b"\x80\x02", Kind("a pickle, such as an old PyTorch file", _TORCH)),
    (b"NRRD", Kind("an NRRD file", _NGFF_ZARR)),
    (b"SIMPLE  =", Kind("a FITS file", "read it with astropy, and " + _NUMPY)),
    (b"CDF\x01", Kind("a NetCDF file", "read it with xarray, and " + _NUMPY)),
    (b"CDF\x02", Kind("a NetCDF file", "read it with xarray, and " + _NUMPY)),
)
_AT = (
    (128, b"DICM", Kind("a DICOM file", _BF2RAW)),
    (257, b"ustar", Kind("a tar archive", _UNPACK)),
    (208, b"MAP", _MRC),
    (344, b"n+1\0", _NIFTI),
    (344, b"ni1\0", Kind("a NIfTI header", _NGFF_ZARR)),
)
_ZIPPED = (
    ("[Content_Types].xml", Kind("an Office document", "give an image")),
    ("META-INF/MANIFEST.MF", Kind("a Java archive", "give an image")),
    ("mimetype", Kind("a document", "give an image")),
    ("rdf.yaml", Kind("a bioimage.io model package", _TORCH)),
    ("bioimageio.yaml", Kind("a bioimage.io model package", _TORCH)),
)


def kind_of(start: bytes, name: str) -> Kind | None:
    r"""The kind of a file by its first bytes, more closely by its name; None if it is not known.

    >>> kind_of(b"II*\0....", "a.svs").name, kind_of(b"II*\0....", "a.zarr").name
    ('an Aperio slide (SVS)', 'a TIFF file')
    """
    if name.lower().endswith(".nii.gz"):
        return Kind("a NIfTI file", _NGFF_ZARR)
    suffix = "." + name.lower().rpartition(".")[2]
    return _BY_NAME.get(suffix) or _by_bytes(start) or _BY_SUFFIX.get(suffix)


def _by_bytes(start: bytes) -> Kind | None:
    for magic, kind in _BY_START:
        if start.startswith(magic):
            return kind
    for offset, magic, kind in _AT:
        if start[offset : offset + len(magic)] == magic:
            return kind
    if start[:4] == b"\x70\0\0\0" and start[8:9] == b"\x2a":
        return _LIF
    return _text_kind(start)


def _text_kind(start: bytes) -> Kind | None:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:9].lower() == b"<!doctype" or text[:5].lower() == b"<html":
        return Kind("a web page", "see whether the address needs a login")
    if text.startswith(b"<?xml"):
        return Kind("an XML file", "give the image that it describes")
    if text.startswith((b"{", b"[")):
        return Kind("a JSON file", "give the folder of the zarr that it is of")
    return None


def zip_kind(names: list[str]) -> Kind | None:
    """The kind of a zip archive by the files that it holds; None if it is not known."""
    tops = {name.rpartition("/")[2] if name.count("/") == 1 else name for name in names}
    for name, kind in _ZIPPED:
        if name in names or (name in tops and name.endswith(".yaml")):
            return kind
    if any(name.endswith("data.pkl") for name in names):
        return Kind("a PyTorch file", _TORCH)
    if names and all(name.endswith(".npy") for name in names):
        return Kind("a numpy file of several arrays (npz)", "load it with numpy, and " + _NUMPY)
    return None


def is_n5(attributes: bytes) -> bool:
    """Whether ``attributes.json`` is that of an N5."""
    try:
        found = json.loads(attributes)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and ("n5" in found or "dataType" in found)
