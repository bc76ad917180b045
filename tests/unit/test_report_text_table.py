"""Every console table at every width: nothing is cut, and no line is too long."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.cells import cell_len
from support.sample_results import make_point

from bytemlperf.report.console import open_console
from bytemlperf.report.overhead_table import overhead_table
from bytemlperf.report.schema import OverheadReport
from bytemlperf.report.schema.variants import Variant, VariantPoint, VariantsResult
from bytemlperf.report.spread_table import spread_table
from bytemlperf.report.text_table import TextColumn, TextTable
from bytemlperf.report.variants_table import variants_table

WIDTHS = (60, 80, 120, 160, 200)
OVERHEAD = OverheadReport(
    query_count=12_345,
    window_ns=300_000_000,
    per_query_ns=1030.0,
    cpu_per_query_ns=2300.0,
    latency_p50_ns=7000,
    latency_p99_ns=19_300,
    lag_p50_ns=107,
    lag_p99_ns=2310,
    lag_p999_ns=11_400,
    wakeup_p50_ns=3120,
    wakeup_p99_ns=14_500,
    wakeup_p999_ns=55_100,
    share=0.0123,
    verdict="VALID",
)


def draw(table: TextTable, width: int) -> str:
    stream = io.StringIO()
    open_console(stream, width=width).print(table)
    return stream.getvalue()


def variants(kind: str = "sweep") -> VariantsResult:
    point = make_point(8)
    row = VariantPoint(
        task="resnet50-torch-fp32",
        hardware_type="CPU",
        batch_size=8,
        offered_qps=120.0,
        throughput_samples_per_s=point.throughput_samples_per_s,
        low=50.1,
        high=55.9,
        mean_ns=point.latency.mean_ns,
        percentiles_ns={"p50": point.latency.p50_ns, "p90": point.latency.p90_ns},
        intervals_ns={"p50": (60_000_000, None), "p90": (70_000_000, 80_000_000)},
        cpu_percent=173.0,
        unmet_slos=["p99<=20ms: not shown"],
        invalid_reasons=[],
    )
    return VariantsResult(
        variants_version=1,
        kind=kind,
        command_line=[],
        goal="",
        axes={},
        variants=[
            Variant(
                f"max_batch={size}",
                {"max_batch": str(size), "max_delay_us": "1000"},
                "ok",
                [row, msgspec.structs.replace(row, throughput_samples_per_s=size)],
            )
            for size in (1, 16)
        ],
        best="max_batch=16",
    )


def tables() -> dict[str, TextTable]:
    overheads = overhead_table([(8, OVERHEAD, False), (64, OVERHEAD, True)])
    assert overheads is not None
    return {
        "overhead": overheads,
        "variants": variants_table(variants()),
        "spread": spread_table(variants("repeat")),
    }


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["overhead", "variants", "spread"])
def test_every_figure_is_whole_at_every_width(name: str, width: int) -> None:
    """Figures are in the text as they are; what does not fit beside goes below."""
    table = tables()[name]
    text = draw(table, width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert "…" not in text
    for row in table.rows:
        # Names and sentences may be broken where there is no room; figures never.
        figures = row[table.key_count :]
        for column, cell in zip(table.columns[table.key_count :], figures, strict=True):
            if not column.is_left:
                assert all(line in text for line in cell.splitlines())


def test_rows_are_named_in_every_part() -> None:
    """Two tables below each other both begin with the batch size."""
    text = draw(tables()["overhead"], 60)
    assert text.count("batch") >= 2
    assert [line.split()[0] for line in text.splitlines() if line.strip()[:3] == "64 "]


def test_a_wide_console_has_one_table() -> None:
    """All of a row is on its line."""
    (row,) = [
        line
        for line in draw(tables()["overhead"], 160).splitlines()
        if line.split()[:1] == ["64"]
    ]
    assert len(row.split("  ")) >= 10


def test_sentences_are_wrapped_between_words_before_a_table_is_split() -> None:
    """A long verdict takes lines, not a table of its own."""
    said = "one two three four five six seven eight nine ten eleven twelve"
    table = TextTable(
        [
            TextColumn("size", ["1"]),
            TextColumn("QPS", ["12.5"]),
            TextColumn("verdict", [said], is_left=True, wraps=True),
        ]
    )
    lines = draw(table, 40).splitlines()
    assert sum("size" in line for line in lines) == 1
    assert " ".join(" ".join(line.split()) for line in lines[2:]).endswith(
        " ".join(said.split()[-2:])
    )
    assert table.headings == ["size", "QPS", "verdict"]
    assert table.rows == [["1", "12.5", said]]
