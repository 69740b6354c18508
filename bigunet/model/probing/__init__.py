"""Measurements of a module with unknown layers: its receptive field, its scores, and its faults."""
