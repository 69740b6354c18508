"""The table of objects: sums of each object in a block, merged exactly, then columns."""
