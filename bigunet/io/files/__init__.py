"""Reading image files that are no zarr: TIFF, PNG and what else pillow reads."""
