"""Images and labels of any format, as training and evaluation read them."""
