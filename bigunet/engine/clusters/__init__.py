"""Gets workers: on this host, on its GPUs, in jobs of a batch system, or from a scheduler."""
