"""The stores of zarr: folders, zip archives and servers. Each read is checked to be complete."""
