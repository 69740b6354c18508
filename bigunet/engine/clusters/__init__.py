"""Where the workers come from: this machine, its GPUs, jobs of a batch system, a scheduler."""
