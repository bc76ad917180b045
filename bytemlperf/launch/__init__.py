"""Which task runs on which hardware, in which environment and process.

Input: a `bytemlperf.launch.request.SessionRequest`. Output: results on disk. The
process this runs in imports no framework and no backend.
"""
