"""Segment with the workers of a Dask cluster.

    python examples/07_dask_cluster.py IMAGE OUT.zarr [tcp://scheduler:8786]

All workers must see IMAGE and OUT.zarr at these paths, and have bigunet installed. Without an
address, two workers start on this machine.
"""

from __future__ import annotations

import sys

from distributed import Client, LocalCluster

import bigunet


def main() -> None:
    image, out, *address = sys.argv[1:4]
    where = address[0] if address else LocalCluster(n_workers=2, threads_per_worker=1)
    with Client(where) as client:
        print("map of the blocks and Dask's pages:", client.dashboard_link)
        report = bigunet.segment(image, out, client=client, existing="resume")
    print("nuclei:", report.objects.num_objects)


if __name__ == "__main__":
    main()
