"""The commands of `gatepost`, one module each, imported only when they run."""
