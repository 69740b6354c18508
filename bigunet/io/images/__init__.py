"""Reading OME-Zarr: metadata, then boxes of voxels."""
