"""Segment a volume of electron microscopy in 3D: python examples/04_volume.py VOLUME OUT.zarr

VOLUME is an OME-Zarr or a TIFF stack with voxels of about 10 nm. Cells are connected voxels with a
probability of 0.8 and more of the class interior; they grow back into the boundary.
See docs/tutorials/volume.md.
"""

from __future__ import annotations

import sys

import bigunet

OPTIONS = bigunet.SegmentOptions(
    outputs=("classes", "probabilities", "instances"),
    object_class="interior",
    object_threshold=0.8,
    border_class="boundary",
    border_width=4,
    smallest=500,
)


def main() -> None:
    volume, out = sys.argv[1:3]
    report = bigunet.segment(volume, out, model="em-boundaries", options=OPTIONS)
    print("share of each class:", report.class_shares)
    print("bodies:", report.objects.num_objects)


if __name__ == "__main__":
    main()
