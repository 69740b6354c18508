"""From labelled images to batches of patches: checks, targets, weights, augmentation, loading."""
