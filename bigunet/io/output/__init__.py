"""Writes OME-Zarr: the arrays of a pyramid, their voxels in whole shards, and the metadata."""
