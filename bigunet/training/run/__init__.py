"""The parts of a training run, which ``training/train.py`` begins."""
