"""Images in and out: stores, OME-Zarr, other files. The only home of zarr."""
