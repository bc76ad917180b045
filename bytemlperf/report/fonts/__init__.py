"""Fonts of many scripts, so that a report looks the same on every machine.

DejaVu 2.37, unchanged; the licence is beside them.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

__all__ = ["FONTS_FOLDER"]

FONTS_FOLDER = Path(str(resources.files(__name__)))
