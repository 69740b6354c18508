"""A network and all that the engine must know of it. The only home of torch besides training."""
