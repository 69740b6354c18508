"""Reading images and labels as training and evaluation need them, whatever their format."""
