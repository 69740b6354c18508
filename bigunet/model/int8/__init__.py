"""A U-Net in integers of 8 bits: its numbers, and the network that computes with them."""
