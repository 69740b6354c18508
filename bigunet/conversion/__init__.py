"""Writing an image of any format as OME-Zarr: the verb convert."""
