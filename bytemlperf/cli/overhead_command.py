"""The verb `overhead`: what the harness itself costs here, and nothing else."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bytemlperf.cli.load_options import LoadOverrides
from bytemlperf.cli.options import FIELDS, HOW, flag

__all__ = ["overhead"]


def overhead(
    *,
    batch_sizes: Annotated[str, Parameter(group=FIELDS)] = "1,8,32",
    clients: Annotated[int, Parameter(group=FIELDS)] = 64,
    sample_bytes: Annotated[int, Parameter(group=FIELDS)] = 4096,
    duration: Annotated[float, Parameter(group=HOW)] = 1.0,
    seed: Annotated[int, Parameter(group=HOW)] = 0,
    json: Annotated[bool, flag(HOW)] = False,
    load: LoadOverrides = LoadOverrides(),
) -> int:
    """Bring a load to a predict that does nothing, and say what it costs.

    Every point of a run replays its own load like this; here it is any load, without a
    model. Exit code 4 if the harness cannot bring it.

    Parameters
    ----------
    batch_sizes
        Samples per query or batch, a comma list; one row each.
    clients
        Client coroutines of a closed loop.
    sample_bytes
        Size of a sample.
    duration
        How long each load is brought, in seconds.
    seed
        Of the order of samples.
    json
        Print JSON, not a table.
    load
        How load arrives.
    """
    from bytemlperf.cli import overhead_display

    return overhead_display.show_overhead(
        batch_sizes=batch_sizes,
        clients=clients,
        sample_bytes=sample_bytes,
        seconds=duration,
        seed=seed,
        as_json=json,
        fields=load.fields(),
    )
