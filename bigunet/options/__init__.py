"""How options are declared: fields, kinds of values, choices. Each verb has its own options."""
