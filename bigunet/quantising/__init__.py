"""The verb ``quantise``: numbers of 8 bits for a model, from images."""
