"""The grey values of an image: which voxels count, and the range that a network sees as 0 to 1."""
