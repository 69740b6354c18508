"""Segmentation of microscopy images larger than memory with a U-Net, exactly as in one pass."""
