"""Scripts for batch systems: what a job asks for, what it needs, and the text of its script."""
