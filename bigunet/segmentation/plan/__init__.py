"""From image, model and options to numbers; nothing is written."""
