"""Networks in files of other tools, as torch modules."""
