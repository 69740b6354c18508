"""Model packages of bioimage.io, formats 0.4 and 0.5: read without running what they contain."""
