"""Images in and out: OME-Zarr, other files, what is written. Only io and stores know zarr."""
