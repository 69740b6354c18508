"""Segment an image of any size: python examples/01_segment.py IMAGE OUT.zarr

IMAGE is a TIFF, a slide, a picture or an OME-Zarr. The command does the same:
bigunet segment IMAGE OUT.zarr
"""

from __future__ import annotations

import sys

import bigunet


def main() -> None:
    image, out = sys.argv[1:3]
    report = bigunet.segment(image, out, model="nuclei")
    # Look at these two lines for each new kind of image: is the range right, are the shares likely?
    grey = report.normalisation.values
    print("grey values used:", grey.low, "to", grey.high)
    print("share of each class:", report.class_shares)
    print("nuclei:", report.objects.num_objects)
    print(bigunet.verify(image, out))


# Images of 32 million voxels and more start processes, and each of them reads this file again.
if __name__ == "__main__":
    main()
