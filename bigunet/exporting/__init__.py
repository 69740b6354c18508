"""Writing model packages of bioimage.io, for programs that do not know bigunet."""
