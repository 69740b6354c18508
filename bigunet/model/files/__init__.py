"""The model file: weights and description, never pickled."""
