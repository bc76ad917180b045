"""The result of a measurement: what it is, where it is stored, and how it looks.

Input: structs of `bytemlperf.report.schema`. Output: files, and text for a console.
Nothing here measures, and nothing here knows a live object.
"""
