"""The page of a run's report: what it shows of the image, the labels, the model and the workers."""
