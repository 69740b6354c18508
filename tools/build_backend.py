"""Build backend of bigunet: setuptools, and one line more in editable installs.

Setuptools finds an editable package after all folders of ``sys.path``. Python that starts in the
folder above a clone named ``bigunet`` would therefore take the clone itself for a package without
code. With the clone on ``sys.path``, the package ``bigunet`` inside the clone comes first.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403

_CLONE = Path(__file__).resolve().parents[1]
_NAME = "bigunet-clone.pth"


def build_editable(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the editable wheel of setuptools, and add a file that names the clone's folder."""
    name: str = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    wheel = Path(wheel_directory, name)
    with ZipFile(wheel) as archive:
        members = {info: archive.read(info) for info in archive.infolist()}
    content = f"{_CLONE}\n".encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    with ZipFile(wheel, "w") as archive:
        archive.writestr(_NAME, content)
        for info, kept in members.items():
            if info.filename.endswith(".dist-info/RECORD"):
                kept += f"{_NAME},sha256={digest},{len(content)}\n".encode()
            archive.writestr(info, kept)
    return name
