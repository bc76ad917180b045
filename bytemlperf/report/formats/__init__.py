"""Other tools' formats: one module each, to write ours in theirs or to read theirs.

Input: results, or other tools' files. Output: text or bytes, or results. What a format
cannot hold is left out, never guessed.
"""
