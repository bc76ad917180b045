"""Frameworks that run a model in its source format, for backends that stand on them.

Input: a model file, its declared tensors and a plan of threads. Output: predictions by
declared name. A module imports its framework, so it is imported when a model of that
framework is compiled, and not before.
"""
