"""Measure inference systems: speed, accuracy, fidelity and compile coverage.

Importing this package imports no framework, starts nothing and changes no global
state. The command line is ``python -m bytemlperf``; the embeddable load generator is
`bytemlperf.runtime`; vendors start at `bytemlperf.backends.Backend`.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
