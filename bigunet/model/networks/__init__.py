"""The networks that bigunet builds; all have valid convolutions."""
