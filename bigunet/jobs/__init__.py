"""Scripts for batch systems: what a job is asked for, what it needs, and the text of its script."""
