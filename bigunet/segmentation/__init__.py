"""Segments images: options, plan, run, report, and the check of the result."""
