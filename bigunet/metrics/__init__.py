"""How well a segmentation agrees with the truth: numbers from two arrays of equal shape."""
