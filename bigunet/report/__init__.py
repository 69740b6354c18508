"""Pictures of results, for people: a segmentation, the curves and the patches of a training."""
