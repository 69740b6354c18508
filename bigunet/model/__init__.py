"""Networks, the model file and the forward pass: the only home of torch beside training."""
