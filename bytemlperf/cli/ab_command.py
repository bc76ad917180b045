"""The verb `ab`: two settings, run in turn, and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bytemlperf.cli.compare_command import Format, write_comparison
from bytemlperf.cli.load_options import LoadOverrides
from bytemlperf.cli.options import HOW, WHERE, Overrides, Places
from bytemlperf.cli.statistics_options import JUDGE, Judgement
from bytemlperf.cli.variants_options import Asked, parse_settings

__all__ = ["ab"]


def ab(
    *,
    a: Annotated[str, Parameter(group=HOW)] = "",
    b: Annotated[str, Parameter(group=HOW)] = "",
    rounds: Annotated[int, Parameter(group=HOW)] = 3,
    metrics: Annotated[str, Parameter(group=JUDGE)] = "qps,mean,p50,p90,p99,p99.9",
    fail_on: Annotated[str | None, Parameter(group=JUDGE)] = None,
    min_effect: Annotated[float, Parameter(group=JUDGE)] = 2.0,
    format: Annotated[Format, Parameter(group=WHERE)] = "console",
    comparison: Annotated[Path | None, Parameter(group=WHERE)] = None,
    junit: Annotated[Path | None, Parameter(group=WHERE)] = None,
    asked: Asked = Asked(),
    overrides: Overrides = Overrides(),
    load: LoadOverrides = LoadOverrides(),
    judgement: Judgement = Judgement(),
    places: Places = Places(),
) -> int:
    """Run two settings in turn (A B B A ...) and compare them.

    Whatever drifts on the machine meanwhile meets both, so that it is no difference.

    Parameters
    ----------
    a, b
        Settings of either side, name=value, several divided by commas: workload fields,
        hardware_type, backend_path, model_path, weights, seed, or answers to the
        backend's questions. Both empty: A/A, which shows this host's noise.
    rounds
        Runs of each side; from 3 on the noise between runs decides.
    metrics
        What is compared, a comma list.
    fail_on
        Changes from A to B that make the exit code 1, such as p99>+5%.
    min_effect
        Change in percent below which there is no difference.
    format
        console, md (Markdown) or json.
    comparison
        File for the comparison instead of standard output.
    junit
        File that says the same as JUnit's XML, as that of compare.
    asked
        What is measured.
    overrides
        Workload fields.
    load
        How load arrives.
    judgement
        What is said about each point.
    places
        Files and folders.
    """
    from bytemlperf.cli.request import cache_folder
    from bytemlperf.cli.variants_display import ab_runs
    from bytemlperf.errors import ConfigError
    from bytemlperf.launch.noise_file import read_noise
    from bytemlperf.report.comparing import compare_results
    from bytemlperf.statistics.gate import parse_gate

    if rounds < 1:
        raise ConfigError(f"--rounds is 1 or more, not {rounds}")
    if not 0 < min_effect < 100:
        raise ConfigError(
            f"--min_effect is above 0 and below 100 percent, not {min_effect:g}"
        )
    rules = parse_gate(fail_on) if fail_on is not None else ()
    sides = {"A": parse_settings("--a", a), "B": parse_settings("--b", b)}
    varied = tuple(dict.fromkeys(name for each in sides.values() for name in each))
    noise = read_noise(cache_folder(places.cache))
    request = asked.request(overrides, load, judgement, places, axes=varied)
    collected, codes = ab_runs(
        request, sides, rounds=rounds, ui=places.ui, resume=asked.resume
    )
    found = compare_results(
        collected,
        metrics=[name.strip() for name in metrics.split(",") if name.strip()],
        rules=rules,
        min_effect=min_effect / 100,
        run_noise=noise.run_noise if noise else None,
        detectable=noise.detectable if noise else None,
        # Whoever names both sides wants them compared; what speaks against it is said.
        force=True,
        groups={each.run: each.run.partition(" ")[0] for each in collected},
        is_paired=True,
        varied=varied,
    )
    write_comparison(found, format, comparison, junit)
    if max(codes):
        return max(codes)
    return 1 if found.has_failed else 0
