"""The grey values of an image: which of them count, and the range that a network sees as 0 to 1."""
