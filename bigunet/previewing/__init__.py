"""The verb preview: labels of an image, computed where somebody looks at them."""
