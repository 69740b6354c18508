"""Writing OME-Zarr: the pyramid, its metadata, and its voxels in whole shards."""
