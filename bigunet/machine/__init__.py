"""Answers what this host has: cores, GPUs, memory, locks, signals, processes, files."""
