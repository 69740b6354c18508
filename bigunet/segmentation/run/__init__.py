"""Runs a plan: its stages, blocks and parts, and the record of what is done."""
