"""OME-Zarr in and out: the only place where zarr is imported."""
