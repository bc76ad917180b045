"""The verb `cache`: built models, samples and references, listed and removed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from bytemlperf.cli.options import HOW, WHERE

__all__ = ["cache_contents"]

SECONDS_A_DAY = 86_400

cache_contents = App(
    name="cache",
    help="List or remove built models, samples and references.",
    default_parameter=Parameter(name_transform=lambda name: name),
)


@cache_contents.command(name="list")
def list_entries(
    *, cache: Annotated[Path | None, Parameter(group=WHERE)] = None
) -> int:
    """List what is in the cache, with its size and when it was last used.

    Parameters
    ----------
    cache
        Folder for built models, samples and environments.
    """
    from datetime import UTC, datetime

    from bytemlperf.cli.request import cache_folder
    from bytemlperf.launch.cache_entries import list_cache
    from bytemlperf.report.units import format_bytes

    entries = list_cache(cache_folder(cache))
    for each in entries:
        used = datetime.fromtimestamp(each.used_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
        note = "  superseded" if each.is_superseded else ""
        print(f"{each.kind:9}  {used}  {format_bytes(each.bytes):>8}  {each.key}{note}")
    total = sum(each.bytes for each in entries)
    print(f"{len(entries)} entries, {format_bytes(total)}")
    return 0


@cache_contents.command(name="remove")
def remove_entries(
    *names: str,
    unused_days: Annotated[float | None, Parameter(group=HOW)] = None,
    cache: Annotated[Path | None, Parameter(group=WHERE)] = None,
) -> int:
    """Remove entries; a run that needs one makes it again.

    Parameters
    ----------
    names
        Models or keys as `cache list` shows them, with * and ?; models, samples or
        reference; superseded: all but the last used entry of each model; or all.
    unused_days
        Only what was not used for so many days.
    cache
        Folder for built models, samples and environments.
    """
    from bytemlperf.cli.request import cache_folder
    from bytemlperf.errors import ConfigError
    from bytemlperf.launch.cache_entries import remove_from_cache
    from bytemlperf.report.units import format_bytes
    from bytemlperf.runtime.clock import utc_now

    if not names:
        raise ConfigError(
            "cache remove: expected what to remove",
            hint="a model or key of `cache list`, superseded, samples, or all",
        )
    if unused_days is not None and not 0 <= unused_days < float("inf"):
        raise ConfigError(f"--unused_days is 0 or more, not {unused_days:g}")
    since = None
    if unused_days is not None:
        since = utc_now().timestamp() - unused_days * SECONDS_A_DAY
    gone = remove_from_cache(cache_folder(cache), names, unused_since_s=since)
    for each in gone:
        print(f"removed {each.kind} {each.key}, {format_bytes(each.bytes)}")
    total = format_bytes(sum(each.bytes for each in gone))
    print(f"{len(gone)} entries, {total}" if gone else "nothing to remove")
    return 0
