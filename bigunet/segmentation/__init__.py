"""Segmenting an image: options, plan, run, report, and the check of the result."""
