"""One self-contained HTML file from results: no network, no other file.

Input: collected results. Output: text of the page.
"""

from __future__ import annotations

from bytemlperf.report.page.render import render_page

__all__ = ["render_page"]
