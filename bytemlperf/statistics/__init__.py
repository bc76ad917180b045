"""How sure a figure is: floors, intervals, steadiness, comparisons. Pure functions.

Input: counts, histograms in cells, blocks of time. Output: estimates and verdicts. It
knows neither runs nor reports nor clocks; docs/measurement.md has every formula.
"""
