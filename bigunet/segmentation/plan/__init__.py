"""Plans a run: numbers from image, model and options. Nothing is written."""
