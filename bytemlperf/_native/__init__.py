"""The Cython rooms of the hot path: structures that threads share without the GIL."""
