"""A real browser for pages on disk, and what it complained about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def find_browser() -> str:
    """Return a browser's path, or skip the test and say why."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    for name in NAMES:
        if found := shutil.which(name):
            return found
    pytest.skip(f"there is no browser here: none of {', '.join(NAMES)}")


class OpenPage:
    """A page, everything it printed, and every address it asked for.

    Attributes
    ----------
    page : playwright.sync_api.Page
        Live.
    messages : list of str
        Console messages of any kind, and uncaught errors.
    requests : list of str
        Addresses that are not the page's own file.
    """

    def __init__(self, page: Any, path: Path) -> None:
        self.page = page
        self.messages: list[str] = []
        self.requests: list[str] = []
        own = path.as_uri()
        page.on("console", lambda said: self.messages.append(said.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                self.requests.append(asked.url)
                if not asked.url.startswith((own, "data:", "blob:"))
                else None
            ),
        )
        page.goto(own)

    def draw_all(self) -> int:
        """Open everything, scroll to every figure, and return how many were drawn."""
        self.page.evaluate(
            "document.querySelectorAll('details').forEach(each => { each.open = true })"
        )
        plots = self.page.locator(".plot")
        for index in range(plots.count()):
            plots.nth(index).scroll_into_view_if_needed()
            self.page.wait_for_selector(
                f".plot[data-figure='{plots.nth(index).get_attribute('data-figure')}']"
                "[data-drawn]"
            )
        return int(plots.count())


@contextmanager
def browser() -> Iterator[Any]:
    """Start the browser without a window.

    Yields
    ------
    playwright.sync_api.Browser
        Closed at the end.
    """
    path = find_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield started
        finally:
            started.close()
