"""The parts of a training run, which :func:`bigunet.training.train.train` starts."""
