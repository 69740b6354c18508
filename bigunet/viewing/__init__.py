"""Looking at images and their labels: a local web viewer, pictures, and napari's reader."""
