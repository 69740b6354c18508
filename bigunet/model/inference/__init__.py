"""The forward pass of a tile, on each kind of device and with each backend."""
