"""The parts of a training run, which ``workflows/train.py`` begins."""
