"""The Cython rooms of the hot path: structures that threads share without the GIL.

They hold no policy that Python could hold, and know no framework, model or report.
There is no Python stand-in: it would change the numbers. Importing a unit that has
not been built fails; ``pip install -e .`` (or ``python setup.py build_ext --inplace``)
builds them.
"""
