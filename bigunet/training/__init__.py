"""Training a network on patches of labelled images."""
