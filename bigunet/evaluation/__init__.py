"""Scoring predictions against the truth: the verb ``evaluate``."""
