"""The verb `compare`: runs side by side, with a verdict, and a gate for pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from bytemlperf.cli.options import WHERE, flag
from bytemlperf.cli.statistics_options import JUDGE

__all__ = ["compare", "write_comparison"]

Format = Literal["console", "md", "json"]


def compare(
    results: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    metrics: Annotated[str, Parameter(group=JUDGE)] = "qps,mean,p50,p90,p99,p99.9",
    fail_on: Annotated[str | None, Parameter(group=JUDGE)] = None,
    min_effect: Annotated[float, Parameter(group=JUDGE)] = 2.0,
    force: Annotated[bool, flag(JUDGE)] = False,
    format: Annotated[Format, Parameter(group=WHERE)] = "console",
    out: Annotated[Path | None, Parameter(group=WHERE)] = None,
    junit: Annotated[Path | None, Parameter(group=WHERE)] = None,
    cache: Annotated[Path | None, Parameter(group=WHERE)] = None,
) -> int:
    """Compare runs: ratios with intervals, and faster, slower, same or undecided.

    Parameters
    ----------
    results
        Two runs or more, each a result.json, an index.json or a folder; all are
        compared with the first.
    metrics
        What is compared, a comma list.
    fail_on
        Changes that make the exit code 1, a comma list: p99>+5%, qps<-3%.
    min_effect
        Change in percent below which there is no difference.
    force
        Compare what is not comparable, and say so.
    format
        console, md (Markdown) or json.
    out
        File to write to instead of standard output.
    junit
        File that says the same as JUnit's XML: a test for each metric and for each rule
        of --fail_on, which alone can fail.
    cache
        Folder where this host's noise is kept (system show --calibrate).
    """
    from bytemlperf.cli.request import cache_folder
    from bytemlperf.errors import ConfigError
    from bytemlperf.launch.noise_file import read_noise
    from bytemlperf.report.collect import collect_results
    from bytemlperf.report.comparing import compare_results
    from bytemlperf.statistics.gate import parse_gate

    if not 0 < min_effect < 100:
        raise ConfigError(
            f"--min_effect is above 0 and below 100 percent, not {min_effect:g}"
        )
    rules = parse_gate(fail_on) if fail_on is not None else ()
    noise = read_noise(cache_folder(cache))
    comparison = compare_results(
        collect_results(results),
        metrics=[name.strip() for name in metrics.split(",") if name.strip()],
        rules=rules,
        min_effect=min_effect / 100,
        run_noise=noise.run_noise if noise else None,
        detectable=noise.detectable if noise else None,
        force=force,
    )
    write_comparison(comparison, format, out, junit)
    return 1 if comparison.has_failed else 0


def write_comparison(
    comparison: object, format: Format, out: Path | None, junit: Path | None = None
) -> None:
    """Print a comparison, or write it to a file; and as JUnit's XML, if asked."""
    import io
    import sys

    import msgspec

    from bytemlperf.report.comparison_text import comparison_markdown, comparison_view
    from bytemlperf.report.console import open_console
    from bytemlperf.report.formats.comparison_junit import comparison_junit
    from bytemlperf.report.schema.comparison import Comparison
    from bytemlperf.report.storage import write_bytes_atomic

    assert isinstance(comparison, Comparison)
    if junit is not None:
        write_bytes_atomic(junit.absolute(), comparison_junit(comparison))
    if format == "json":
        text = msgspec.json.format(msgspec.json.encode(comparison), indent=2).decode()
    elif format == "md":
        text = comparison_markdown(comparison)
    elif out is None:
        open_console(sys.stdout).print(comparison_view(comparison))
        return
    else:
        page = io.StringIO()
        open_console(page).print(comparison_view(comparison))
        text = page.getvalue()
    if out is None:
        print(text)
    else:
        write_bytes_atomic(out.absolute(), text.encode())
        print(out)
