"""Training a network on patches of labelled images: targets, augmentation and the loop."""
