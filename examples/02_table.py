"""Make a table for a spreadsheet of an output: python examples/02_table.py OUT.zarr TABLE.csv

OUT.zarr is what 01_segment.py writes. Nuclei that the edge of the image cuts are left out.
"""

from __future__ import annotations

import sys

import pandas


def main() -> None:
    out, target = sys.argv[1:3]
    nuclei = pandas.read_parquet(f"{out}/tables/instances/table.parquet")
    whole = nuclei[~nuclei["cut"]]
    # In µm² if the image says how large a pixel is.
    area = "area_um2" if "area_um2" in whole else "area"
    print(f"{len(whole)} whole nuclei of {len(nuclei)}; {area}:")
    print(whole[area].describe(percentiles=[0.1, 0.5, 0.9]).round(1).to_string())
    whole.to_csv(target, index=False)


if __name__ == "__main__":
    main()
