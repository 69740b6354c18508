"""The parts of an evaluation, which ``workflows/evaluate.py`` puts together."""
