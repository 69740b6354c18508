"""What a module of unknown inside does: its receptive field, its scores, and why it may not fit."""
