"""What this machine offers: cores, memory, locks, signals, processes. Knows nothing of images."""
