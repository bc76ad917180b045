"""Results over time: a local store, figures by series, and where they changed.

Input: results. Output: a SQLite file, series of figures, change points.
"""
