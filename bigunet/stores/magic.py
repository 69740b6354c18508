"""The kind of a file, from its first bytes and its name, and advice for it; it opens no file."""

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
_READ = "bigunet reads it from a file on this machine that has its usual suffix; copy or rename it"
_UNPACK = "unpack it, and give the zarr inside"

FIRST_BYTES = 560
"""Number of bytes to read: the sign of a DICOM file is at byte 128, of a tar archive at 257."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file.

    Parameters
    ----------
    name : str
        With an article: "a TIFF file".
    advice : str
        What the user should do.
    """

    name: str
    advice: str

    @property
    def is_read(self) -> bool:
        """Whether bigunet reads such files, though not as a zarr."""
        return self.advice == _READ


TIFF = FileKind("a TIFF file", _READ)
# Names that say more than the first bytes, because these files are TIFF, zip or HDF5 inside.
_BY_NAME = {
    ".svs": FileKind("an Aperio slide (SVS)", _READ),
    ".ndpi": FileKind("a Hamamatsu slide (NDPI)", _READ),
    ".scn": FileKind("a Leica slide (SCN)", _READ),
    ".mrxs": FileKind("a 3DHISTECH slide (MRXS)", _READ),
    ".vsi": FileKind("an Olympus slide (VSI)", _BF2RAW),
    ".qptiff": FileKind("an Akoya slide (QPTIFF)", _READ),
    ".lsm": FileKind("a Zeiss LSM file", _READ),
    ".stk": FileKind("a MetaMorph stack", _READ),
    ".ims": FileKind("an Imaris file", _BF2RAW),
    ".oib": FileKind("an Olympus OIB file", _BF2RAW),
    ".oif": FileKind("an Olympus OIF file", _BF2RAW),
    ".dv": FileKind("a DeltaVision file", _BF2RAW),
    ".nrrd": FileKind("an NRRD file", _NGFF_ZARR),
    ".mha": FileKind("a MetaImage file", _NGFF_ZARR),
    ".pt": FileKind("a PyTorch file", _TORCH),
    ".pth": FileKind("a PyTorch file", _TORCH),
    ".ckpt": FileKind("a PyTorch checkpoint", _TORCH),
    ".onnx": FileKind("an ONNX model", _OTHER_MODEL),
    ".safetensors": FileKind("a model file (safetensors)", _MODEL),
    ".keras": FileKind("a Keras model", _OTHER_MODEL),
}
_CZI = FileKind("a Zeiss CZI file", _READ)
_ND2 = FileKind("a Nikon ND2 file", _READ)
_LIF = FileKind("a Leica LIF file", _READ)
_HDF5 = FileKind("an HDF5 file", "read it with h5py, and " + _NUMPY)
_NIFTI = FileKind("a NIfTI file", _NGFF_ZARR)
_MRC = FileKind("an MRC file", "read it with mrcfile, and " + _NUMPY)
# Names for files that are too old, or too damaged, to be recognised by their bytes.
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
    (b"II+\0", FileKind("a BigTIFF file", _READ)),
    (b"MM\0+", FileKind("a BigTIFF file", _READ)),
    (b"\x89PNG\r\n\x1a\n", FileKind("a PNG picture", _READ)),
    (b"\xff\xd8\xff", FileKind("a JPEG picture", _READ)),
    (b"GIF8", FileKind("a GIF picture", _READ)),
    (b"BM", FileKind("a BMP picture", _READ)),
    (b"\0\0\0\x0cjP  ", FileKind("a JPEG 2000 file", _BF2RAW)),
    (b"ZISRAWFILE", _CZI),
    (b"\xda\xce\xbe\x0a", _ND2),
    (b"\x89HDF\r\n\x1a\n", _HDF5),
    (b"\x93NUMPY", FileKind("a numpy file", "load it with numpy, and " + _NUMPY)),
    (b"\x1f\x8b", FileKind("a gzip file", _UNPACK)),
    (b"BZh", FileKind("a bzip2 file", _UNPACK)),
    (b"\xfd7zXZ\0", FileKind("an xz file", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", FileKind("a 7z archive", _UNPACK)),
    (b"Rar!", FileKind("a RAR archive", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", FileKind("a zstd file", _UNPACK)),
    (b"%PDF", FileKind("a PDF file", "give an image")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileKind("an OLE file, such as ZVI or OIB", _BF2RAW)),
    (b"\x80\x02", FileKind("a pickle, such as an old PyTorch file", _TORCH)),
    (b"NRRD", FileKind("an NRRD file", _NGFF_ZARR)),
    (b"SIMPLE  =", FileKind("a FITS file", "read it with astropy, and " + _NUMPY)),
    (b"CDF\x01", FileKind("a NetCDF file", "read it with xarray, and " + _NUMPY)),
    (b"CDF\x02", FileKind("a NetCDF file", "read it with xarray, and " + _NUMPY)),
)
_AT = (
    (128, b"DICM", FileKind("a DICOM file", _BF2RAW)),
    (257, b"ustar", FileKind("a tar archive", _UNPACK)),
    (208, b"MAP", _MRC),
    (344, b"n+1\0", _NIFTI),
    (344, b"ni1\0", FileKind("a NIfTI header", _NGFF_ZARR)),
)
_ZIPPED = (
    ("[Content_Types].xml", FileKind("an Office document", "give an image")),
    ("META-INF/MANIFEST.MF", FileKind("a Java archive", "give an image")),
    ("mimetype", FileKind("a document", "give an image")),
    ("rdf.yaml", FileKind("a bioimage.io model package", _TORCH)),
    ("bioimageio.yaml", FileKind("a bioimage.io model package", _TORCH)),
)


def kind_of(start: bytes, name: str) -> FileKind | None:
    r"""The kind of a file, from its name or its first bytes; None if it is not known.

    >>> kind_of(b"II*\0....", "a.svs").name, kind_of(b"II*\0....", "a.zarr").name
    ('an Aperio slide (SVS)', 'a TIFF file')
    """
    if name.lower().endswith(".nii.gz"):
        return FileKind("a NIfTI file", _NGFF_ZARR)
    suffix = "." + name.lower().rpartition(".")[2]
    return _BY_NAME.get(suffix) or _by_bytes(start) or _BY_SUFFIX.get(suffix)


def _by_bytes(start: bytes) -> FileKind | None:
    for magic, kind in _BY_START:
        if start.startswith(magic):
            return kind
    for offset, magic, kind in _AT:
        if start[offset : offset + len(magic)] == magic:
            return kind
    if start[:4] == b"\x70\0\0\0" and start[8:9] == b"\x2a":
        return _LIF
    return _text_kind(start)


def _text_kind(start: bytes) -> FileKind | None:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:9].lower() == b"<!doctype" or text[:5].lower() == b"<html":
        return FileKind("a web page", "see whether the address needs a login")
    if text.startswith(b"<?xml"):
        return FileKind("an XML file", "give the image that it describes")
    if text.startswith((b"{", b"[")):
        return FileKind("a JSON file", "give the folder of the zarr that it is of")
    return None


def zip_kind(names: list[str]) -> FileKind | None:
    """The kind of a zip archive, from the names of its files; None if it is not known."""
    tops = {name.rpartition("/")[2] if name.count("/") == 1 else name for name in names}
    for name, kind in _ZIPPED:
        if name in names or (name in tops and name.endswith(".yaml")):
            return kind
    if any(name.endswith("data.pkl") for name in names):
        return FileKind("a PyTorch file", _TORCH)
    if names and all(name.endswith(".npy") for name in names):
        return FileKind("a numpy file of several arrays (npz)", "load it with numpy, and " + _NUMPY)
    return None


def is_n5(attributes: bytes) -> bool:
    """Whether these bytes are the ``attributes.json`` of an N5."""
    try:
        stated = json.loads(attributes)
    except (ValueError, RecursionError):
        return False
    return isinstance(stated, dict) and ("n5" in stated or "dataType" in stated)
