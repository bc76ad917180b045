"""A site's files in a folder.

Input: collected results and a folder. Output: the folder, with ``index.html``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bytemlperf.report.collect import Collected
from bytemlperf.report.page.assemble import SCRIPTS, asset
from bytemlperf.report.page.render import render_page
from bytemlperf.report.site.pages import site_page, site_results
from bytemlperf.report.storage import make_folder, write_bytes_atomic

__all__ = ["build_site"]

ASSETS = "assets"
RESULTS = "r"
LICENCES = ("vega", "vega-lite", "vega-embed")


def build_site(
    collected: Sequence[Collected],
    folder: Path,
    *,
    generated_at_utc: str,
    version: str,
) -> Path:
    """Write a site that works from a disk as from a server.

    Parameters
    ----------
    collected : sequence of Collected
        At least one; a result that is there twice is shown once.
    folder : Path
        Made if it is missing. Pages of results that are no longer given stay: their
        addresses may be known to somebody.
    generated_at_utc, version : str
        When it is made, and by which version.

    Returns
    -------
    Path
        The first page.

    Raises
    ------
    StorageError
        The folder cannot be written.
    ConfigError
        A result is damaged, or jinja2 is not installed.
    """
    listed = site_results(collected)
    by_id = {
        listing.id: (listing, each)
        for listing, each in zip(listed, collected, strict=True)
    }
    for name in (ASSETS, RESULTS):
        make_folder(folder / name)
    for name in SCRIPTS:
        path = folder / ASSETS / name.rpartition("/")[2]
        write_bytes_atomic(path, asset(name).encode())
    for name in LICENCES:
        text = asset(f"vega/LICENSE-{name}.txt")
        write_bytes_atomic(folder / ASSETS / f"LICENSE-{name}.txt", text.encode())
    for identity, (_, each) in by_id.items():
        page = render_page(
            [each],
            generated_at_utc=generated_at_utc,
            version=version,
            assets=f"../{ASSETS}/",
            back="../index.html",
            raw=f"{identity}.json",
        )
        path = folder / RESULTS / f"{identity}.html"
        write_bytes_atomic(path, page.encode("utf-8", "replace"))
        body = msgspec.json.format(msgspec.json.encode(each.result), indent=2)
        write_bytes_atomic(folder / RESULTS / f"{identity}.json", body + b"\n")
    shown = [listing for listing, _ in by_id.values()]
    index = site_page(
        shown,
        generated_at_utc=generated_at_utc,
        version=version,
        assets=f"{ASSETS}/",
    )
    body = msgspec.json.format(msgspec.json.encode(shown), indent=2)
    write_bytes_atomic(folder / "results.json", body + b"\n")
    path = folder / "index.html"
    write_bytes_atomic(path, index.encode("utf-8", "replace"))
    return path
