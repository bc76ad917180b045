"""The verb `schema`: what is in our files, for machines."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from bytemlperf.cli.options import WHAT

__all__ = ["schema"]


def schema(
    kind: Annotated[
        Literal["result", "index", "workload"], Parameter(group=WHAT)
    ] = "result",
    /,
) -> int:
    """Print the JSON Schema of a kind of file.

    Parameters
    ----------
    kind
        result: result.json. index: index.json. workload: a file for --tasks.
    """
    import msgspec

    from bytemlperf.report.schema import SCHEMA_VERSION, InvocationIndex, TaskResult
    from bytemlperf.workloads import Workload

    types = {"result": TaskResult, "index": InvocationIndex, "workload": Workload}
    found = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:bytemlperf:{kind}:{SCHEMA_VERSION}",
        "title": f"bytemlperf {kind}",
        **msgspec.json.schema(types[kind]),
    }
    print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    return 0
