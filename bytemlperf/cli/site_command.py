"""The verb `site`: a leaderboard as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from bytemlperf.cli.options import WHERE

__all__ = ["site"]

site = App(
    name="site",
    help="Make a leaderboard of results.",
    default_parameter=Parameter(name_transform=lambda name: name),
)


@site.command
def build(
    results: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    out: Annotated[Path, Parameter(group=WHERE)] = Path("site"),
) -> int:
    """Write a static site: models and hardware, trends, a page for each result.

    Parameters
    ----------
    results
        Each a result.json, an index.json, or a folder with runs anywhere below it.
    out
        Folder for the site; index.html in it opens from a disk as from a server.
    """
    import bytemlperf
    from bytemlperf.report.collect import collect_results
    from bytemlperf.report.site.build import build_site
    from bytemlperf.runtime.clock import utc_now

    print(
        build_site(
            collect_results(results),
            out,
            generated_at_utc=f"{utc_now():%Y-%m-%d %H:%M:%S} UTC",
            version=bytemlperf.__version__,
        )
    )
    return 0
