"""Scores of a segmentation against the truth: numbers from two arrays of equal shape."""
