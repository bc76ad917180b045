"""The backend for this machine's own processor, under three frameworks."""
