"""Foreign text made safe to show: a log, a vendor's message, a file's name.

Input: any text. Output: text that cannot drive a terminal.
"""

from __future__ import annotations

import re

__all__ = ["clean_line", "clean_text"]

# Colour, cursor and title sequences, then every other control character but the tab,
# and the marks that turn the direction of what follows.
UNSAFE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]?"
    r"|[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def clean_line(line: str, *, max_characters: int = 500) -> str:
    """Return one line as a terminal would have left it, without what drives it.

    Parameters
    ----------
    line : str
        Any characters. Of a line that was overwritten in place (a progress bar), the
        last state counts.
    max_characters : int
        The rest is cut off.

    Returns
    -------
    str
        On one line.
    """
    last_state = line.rstrip("\r\n").rpartition("\r")[2]
    return UNSAFE.sub("", last_state).rstrip()[:max_characters]


def clean_text(text: str) -> str:
    """Return text of several lines, each cleaned.

    Parameters
    ----------
    text : str
        Any characters.

    Returns
    -------
    str
        The same lines.
    """
    return "\n".join(clean_line(line) for line in text.split("\n"))
