"""Pictures of a result, for people."""
