"""Reading image files that are no zarr, such as TIFF and PNG."""
