"""The commands, one thin file each; installed as ``bigunet_cli``."""
