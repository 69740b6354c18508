"""Segmenting arrays in memory: the verb predict."""
