"""The networks that bigunet builds, with valid convolutions."""
