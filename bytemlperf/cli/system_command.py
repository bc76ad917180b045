"""The verb `system`: what this machine does to a measurement."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from bytemlperf.cli.options import HOW, Overrides, Places, flag
from bytemlperf.cli.variants_options import Asked

__all__ = ["system"]

system = App(name="system", help="What this machine does to a measurement.")


@system.command
def show(
    *,
    calibrate: Annotated[bool, flag(HOW)] = False,
    runs: Annotated[int, Parameter(group=HOW)] = 6,
    asked: Asked = Asked(),
    overrides: Overrides = Overrides(),
    places: Places = Places(),
) -> int:
    """Show this machine's state, what bends figures, and its remedy.

    Parameters
    ----------
    calibrate
        Also measure one task again and again, and keep the noise between its runs in
        the cache folder: compare, ab and the gate use it.
    runs
        Runs of the calibration, 3 or more.
    asked
        What is measured for the calibration: one task on one hardware type.
    overrides
        Workload fields.
    places
        Files and folders.
    """
    from bytemlperf.cli.load_options import LoadOverrides
    from bytemlperf.cli.request import cache_folder
    from bytemlperf.cli.statistics_options import Judgement
    from bytemlperf.cli.system_display import calibrate_host, show_system
    from bytemlperf.errors import ConfigError

    cache = cache_folder(places.cache)
    if not calibrate:
        return show_system(cache)
    if runs < 3:
        raise ConfigError(f"--runs is 3 or more, not {runs}")
    request = asked.request(overrides, LoadOverrides(), Judgement(), places)
    if len(request.tasks) * len(request.hardware_types) != 1:
        raise ConfigError(
            "a calibration measures one task on one hardware type, not "
            f"{len(request.tasks)} on {len(request.hardware_types)}",
            hint="for example --tasks widedeep-tf-fp32 --hardware_type CPU",
        )
    return calibrate_host(request, runs, cache, ui=places.ui, resume=asked.resume)
