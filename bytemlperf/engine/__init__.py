"""One task on one backend, inside its worker process.

Input: a job from the launcher. Output: events. The order is: describe, compile, load,
accuracy, numeric, then one point a batch size; every result is on disk before the next
begins. It refuses to know how workers are started, watched or reported.
"""
