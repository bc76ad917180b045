"""Sweeps, searches, open loops and overhead on a page, in a document and as text."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from support.sample_results import distribution, make_point, make_result

from bytemlperf.errors import ConfigError
from bytemlperf.report.collect import collect_results, collect_variants, name_apart
from bytemlperf.report.figures import (
    axis_curve,
    offered_achieved,
    overhead_latency,
    rate_latency,
    schedule_lag,
    variant_latencies,
    variant_rates,
)
from bytemlperf.report.markdown import render_markdown
from bytemlperf.report.page.view import page_view
from bytemlperf.report.schema import LoadReport, OverheadReport
from bytemlperf.report.schema.variants import Variant, VariantPoint, VariantsResult
from bytemlperf.report.storage import VARIANTS_NAME, OutFolder, write_json_atomic
from bytemlperf.report.variants_table import unmeasured_probes, variants_notes
from bytemlperf.statistics.search import Capacity, Probe
from bytemlperf.statistics.slo import parse_slos

SLOS = parse_slos("p99<=20ms")


def variant_point(rate: float, **changes: object) -> VariantPoint:
    fields: dict[str, object] = {
        "task": "resnet50-torch-fp32",
        "hardware_type": "CPU",
        "batch_size": 1,
        "offered_qps": rate,
        "throughput_samples_per_s": rate * 0.99,
        "low": rate * 0.9,
        "high": rate * 1.1,
        "mean_ns": 9e6,
        "percentiles_ns": {"p50": 8_000_000, "p99": int(rate * 1e5)},
        "intervals_ns": {"p50": (7_000_000, 9_000_000), "p99": (None, 30_000_000)},
        "cpu_percent": 90.0,
        "unmet_slos": [],
        "invalid_reasons": [],
    }
    return VariantPoint(**(fields | changes))  # type: ignore[arg-type]


def variants(kind: str, points: dict[str, VariantPoint], **changes: object):
    return VariantsResult(
        variants_version=1,
        kind=kind,
        command_line=["bytemlperf", kind],
        goal="the highest rate" if kind == "search" else "",
        axes={},
        variants=[
            Variant(name, {"rate": f"{point.offered_qps:g}"}, "ok", [point])
            for name, point in points.items()
        ],
        **changes,
    )


def search() -> VariantsResult:
    return variants(
        "search",
        {
            "probe-01": variant_point(100),
            "probe-02": variant_point(400, unmet_slos=["p99<=20ms: missed"]),
            "probe-03": variant_point(200, unmet_slos=["p99<=20ms: not shown"]),
            "probe-04": variant_point(300, invalid_reasons=["harness-limited: x"]),
        },
        capacity=Capacity(
            100.0,
            400.0,
            [Probe(100.0, "met", "bracket"), Probe(400.0, "missed", "bracket")],
            "precision",
        ),
    )


def open_load(**changes: object) -> LoadReport:
    fields: dict[str, object] = {
        "scenario": "server",
        "samples_per_query": 1,
        "is_open": True,
        "order_seed": 0,
        "generator": "numpy",
        "achieved_qps": 90.0,
        "offered_qps": 100.0,
        "issued_qps": 99.0,
        "scheduled_count": 1000,
        "refused_count": 7,
        "lag": distribution([1000 + number for number in range(600)]),
    }
    return LoadReport(**(fields | changes))  # type: ignore[arg-type]


OVERHEAD = OverheadReport(
    query_count=800, window_ns=10**8, per_query_ns=1000.0, cpu_per_query_ns=900.0,
    latency_p50_ns=7000, latency_p99_ns=None, lag_p50_ns=100, lag_p99_ns=None,
    lag_p999_ns=None, wakeup_p50_ns=3000, wakeup_p99_ns=None, wakeup_p999_ns=None,
    share=0.02, verdict="VALID",
)  # fmt: skip


def test_a_search_shows_every_probe_its_bound_and_its_capacity():
    """Probes by their own verdict, the objective across, the interval shaded."""
    drawn = rate_latency(search(), SLOS)
    rows = drawn.spec["data"]["values"]
    assert [(row["probe"], row["rate"], row["ms"]) for row in rows] == [
        (1, 100, 10), (2, 400, 40), (3, 200, 20), (4, 300, 30),
    ]  # fmt: skip
    assert [row["verdict"] for row in rows] == [
        "met", "missed", "not shown", "INVALID",
    ]  # fmt: skip
    own = [layer["data"]["values"] for layer in drawn.spec["layer"] if "data" in layer]
    assert [{"from": 100.0, "to": 400.0}] in own
    assert [{"slo": "p99<=20ms", "bound": 20.0}] in own
    assert "probe 2: 400 queries/s, p99 40 ms, missed" in drawn.summary


def test_probes_that_are_no_measurement_are_named():
    """Only where they left a rate undecided; a probe that was missed is no matter."""
    assert unmeasured_probes(search()) == []
    assert unmeasured_probes(variants("sweep", {"a": variant_point(300)})) == []
    undecided = msgspec.structs.replace(
        search(),
        capacity=Capacity(
            100.0,
            None,
            [
                Probe(100.0, "met", "bracket"),
                Probe(400.0, "missed", "bracket"),
                Probe(200.0, "not shown", "bisect"),
                Probe(300.0, "not shown", "bisect"),
            ],
            "precision",
        ),
    )
    assert [each.name for each in unmeasured_probes(undecided)] == ["probe-04"]
    (note,) = [
        line for line in variants_notes(undecided) if line.startswith("undecided")
    ]
    assert note.startswith("undecided: probe-04 INVALID (harness-limited); what is no")


def test_a_probe_with_too_few_queries_is_named_and_not_drawn():
    """There is no percentile to draw."""
    few = variants("search", {"probe-01": variant_point(5, percentiles_ns={})})
    drawn = rate_latency(few, SLOS)
    assert drawn.spec is None
    assert "probe 1" in drawn.summary


def test_an_axis_of_numbers_is_a_curve_and_one_of_words_is_none():
    """Settings other than the axis tell curves apart."""
    points = {f"r{rate}": variant_point(rate) for rate in (100, 200, 300)}
    sweep = variants("sweep", points, best="r300")
    assert [row["value"] for row in axis_curve(sweep, "rate").spec["data"]["values"]]
    words = msgspec.structs.replace(
        sweep,
        variants=[
            msgspec.structs.replace(each, settings={"rate": "fast"})
            for each in sweep.variants
        ],
    )
    assert axis_curve(words, "rate") is None
    assert len(variant_rates(sweep).spec["data"]["values"]) == 3
    assert len(variant_latencies(sweep, SLOS).spec["data"]["values"]) == 6


def test_open_loops_and_certificates_have_figures_and_others_have_none():
    """Offered, issued, achieved; lag beside latency; the null beside the point."""
    plain = [("batch 1", make_point(1))]
    assert offered_achieved(plain) is None
    assert schedule_lag(plain) is None
    assert overhead_latency(plain) is None
    named = [("batch 1", make_point(1, load=open_load(), overhead=OVERHEAD))]
    rates = offered_achieved(named)
    assert [row["value"] for row in rates.spec["data"]["values"]] == [100, 99, 90]
    assert "7 of 1,000 lost" in rates.summary
    lags = schedule_lag(named)
    assert {row["series"] for row in lags.spec["data"]["values"]} >= {
        "lag p50", "lag p99", "latency p50",
    }  # fmt: skip
    costs = overhead_latency(named)
    assert {row["series"] for row in costs.spec["data"]["values"]} == {
        "null p50", "latency p50",
    }  # fmt: skip
    assert "our share 2.00%, VALID" in costs.summary


def write_run(folder: Path, *names: str) -> None:
    """Write results as runs of one request leave them."""
    result = make_result(points=[make_point(1)])
    for name in names:
        place = OutFolder(folder / name).task("CPU", result.task)
        place.result.parent.mkdir(parents=True)
        write_json_atomic(place.result, result)


def test_a_folder_of_variants_is_one_report(tmp_path):
    """Runs are named by their folders; nothing is compared; the search comes first."""
    write_run(tmp_path, "probe-01", "probe-02")
    write_json_atomic(tmp_path / VARIANTS_NAME, search())
    collected = collect_results([tmp_path])
    assert [each.run for each in name_apart(collected)] == ["probe-01", "probe-02"]
    found = collect_variants([tmp_path], collected)
    view = page_view(collected, found, generated_at_utc="now", version="1")
    assert view.compared is None
    (section,) = view.variants
    assert section.title.startswith("Search for the highest rate")
    assert [table.title for table in section.tables] == ["All runs", "Decisions"]
    assert section.tables[1].rows[1][:3] == ["2", "400", "missed"]
    text = render_markdown(collected, found, generated_at_utc="now", version="1")
    assert "**Decisions**" in text
    assert "python -m bytemlperf search" in text


def test_variants_of_another_version_are_refused(tmp_path):
    """By name of the field, as results are."""
    write_run(tmp_path, "one")
    write_json_atomic(
        tmp_path / VARIANTS_NAME,
        msgspec.structs.replace(search(), variants_version=99),
    )
    with pytest.raises(ConfigError, match="variants_version: expected 1, got 99"):
        collect_variants([tmp_path], collect_results([tmp_path]))
