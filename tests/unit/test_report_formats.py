"""Other tools' formats: their own readers read ours, and we read theirs."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree

import msgspec
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from sample_results import make_point, make_result

from bytemlperf.errors import ConfigError
from bytemlperf.report.collect import Collected
from bytemlperf.report.formats.byte_mlperf import read_byte_mlperf, to_byte_mlperf
from bytemlperf.report.formats.exporting import export_folder, export_single
from bytemlperf.report.formats.importing import folder_name, import_path
from bytemlperf.report.page import render_page
from bytemlperf.report.schema import AccuracyReport

# A file as ByteMLPerf wrote it: key for key, a vendor's own spelling in the second row.
PUBLISHED = {
    "Model": "bert-torch-fp32",
    "Backend": "HPU",
    "Host Info": "Intel(R) Xeon(R) Platinum 8380 CPU @ 2.30GHz",
    "Dataset": "Open Squad 1.1",
    "Instance Count": 1,
    "Device Count": 1,
    "Graph Compile": {
        "Compile Duration": 7e-05, "Compile Precision": "BF16",
        "Subgraph Coverage": 100.0, "Optimizations": {},
    },
    "Version": "1.0.0",
    "Execution Date": "2023-11-02 02:11:09",
    "Accuracy": {
        "Data Percent": 100, "Exact Match": 78.815, "F1 Score": 85.883,
        "Mean Diff": 0.02, "Std Diff": 0.03, "Max Diff": 0.9, "Max Rel-Diff": 81.2,
        "Mean Rel-Diff": 0.05, "Diff Dist": "bert-torch-fp32-to-bf16.png",
    },
    "Performance": [
        {"BS": 1, "QPS": 476, "AVG Latency": 2.1, "P99 Latency": 2.2},
        {"BS": 16, "QPS": 1970, "AVG_Latency": 8.12, "P99_Latency": 8.3},
    ],
}  # fmt: skip


def collected(*results):
    return [Collected("run", f"{index}", each) for index, each in enumerate(results)]


def write(tmp_path, value, name="result-bf16.json"):
    path = tmp_path / name
    path.write_text(json.dumps(value))
    return path


def test_legacy_keys_are_exact():
    """The same keys as a published file has, at every level that is ours to say."""
    accuracy = AccuracyReport("scored", values={"exact_match": 0.8, "f1": 0.88}, n=100)
    found = to_byte_mlperf(make_result(accuracy=accuracy))
    assert list(found) == list(PUBLISHED)
    assert list(found["Graph Compile"]) == list(PUBLISHED["Graph Compile"])
    assert found["Accuracy"].keys() == PUBLISHED["Accuracy"].keys() - {"Diff Dist"}
    assert list(found["Performance"][0]) == list(PUBLISHED["Performance"][0])
    assert found["Accuracy"]["F1 Score"] == 88.0
    assert found["Accuracy"]["Max Diff"] == 7.15e-6


def test_legacy_performance_has_no_wrong_number():
    """No invalid point, and no P99 of 300 queries."""
    result = make_result(
        points=[
            make_point(1, query_count=600),
            make_point(8, query_count=300),
            make_point(32, query_count=30, invalid_reasons=["too few"]),
        ]
    )
    rows = to_byte_mlperf(result)["Performance"]
    assert [row["BS"] for row in rows] == [1, 8]
    p99_ms = result.points[0].latency.p99_ns / 1e6
    assert rows[0]["P99 Latency"] == pytest.approx(p99_ms, abs=0.005)
    assert rows[1]["P99 Latency"] is None


def test_a_published_file_is_read_for_what_it_says(tmp_path):
    """Rates and scores are there; a percentile of an unknown count is not."""
    result = read_byte_mlperf(write(tmp_path, PUBLISHED))
    assert [point.throughput_samples_per_s for point in result.points] == [476, 1970]
    assert {point.latency.count for point in result.points} == {0}
    assert result.points[1].warnings == [
        "as published: AVG Latency 8.12 ms, P99 Latency 8.3 ms"
    ]
    assert result.accuracy.values["f1"] == pytest.approx(0.85883)
    assert result.numeric.overall.max_diff == 0.9
    assert result.imported_from.tool == "ByteMLPerf"
    assert result.vendor_benchmark == PUBLISHED


def test_an_imported_result_stands_beside_ours(tmp_path):
    """In one page: its rate, and a dash where there is nothing."""
    imported = read_byte_mlperf(write(tmp_path, PUBLISHED))
    page = render_page(
        collected(make_result(), imported), generated_at_utc="now", version="1"
    )
    assert "1,970" in page
    assert "No histogram of latencies was kept." in page
    assert "measured by ByteMLPerf" in page


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "keys 'Model' and 'Backend'"),
        ({"Model": "a", "Backend": "b", "Performance": [1]}, "expected objects"),
        ({"Model": "a", "Backend": "b", "Performance": [{"BS": 0}]}, "expected >= 1"),
        (
            {"Model": "a", "Backend": "b", "Performance": [{"BS": 1, "QPS": "many"}]},
            "'QPS': expected a number, got 'many'",
        ),
    ],
)
def test_a_foreign_file_of_another_kind_is_refused(tmp_path, value, message):
    """With its name, and what was expected."""
    with pytest.raises(ConfigError, match=message):
        read_byte_mlperf(write(tmp_path, value))


def test_csv_has_raw_values_and_no_formula():
    """Nanoseconds as measured; an empty cell where queries are too few."""
    result = make_result(task="=1+1", points=[make_point(1, query_count=300)])
    text = export_single(collected(result), "csv").decode()
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["task"] == "'=1+1"
    assert int(row["latency_p50_ns"]) == result.points[0].latency.p50_ns
    assert row["latency_p99_ns"] == ""


def test_parquet_has_types_even_of_empty_columns():
    """A p99 that nobody has is an int64 column without values."""
    parquet = pytest.importorskip("pyarrow.parquet")
    body = export_single(collected(make_result()), "parquet")
    table = parquet.read_table(io.BytesIO(body))
    assert table.num_rows == 3
    assert str(table.schema.field("latency_p99_ns").type) == "int64"
    assert table.column("latency_p99_ns").to_pylist() == [None] * 3


def test_the_histogram_log_is_read_by_its_own_reader(tmp_path):
    """Every point's histogram, whole, in the log reader of the hdrhistogram package."""
    result = make_result(task="a, b")
    path = tmp_path / "points.hlog"
    path.write_bytes(export_single(collected(result), "hlog"))
    reader = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000_000, 3))
    counts = []
    while (interval := reader.get_next_interval_histogram()) is not None:
        counts.append(interval.get_total_count())
    reader.close()
    assert counts == [point.latency.count for point in result.points]


def test_open_metrics_escape_and_end():
    """Labels cannot break out; one end; too few queries have no quantile."""
    name = 'a"b\\c\nd'
    text = export_single(collected(make_result(task=name)), "openmetrics").decode()
    assert text.endswith("# EOF\n")
    assert 'task="a\\"b\\\\c\\nd"' in text
    assert 'quantile="0.9"' in text
    assert 'quantile="0.99"' not in text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


def test_junit_counts_what_is_not_valid():
    """Three points, one invalid; one size skipped; one broken; and no control code."""
    result = make_result(
        points=[
            make_point(1, query_count=30),
            make_point(8, query_count=30, invalid_reasons=["bad \x00\x1b[31m\uffff"]),
        ]
    )
    suite = ElementTree.fromstring(export_single(collected(result), "junit"))[0]
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert [suite.get(key) for key in ("tests", "failures", "errors", "skipped")] == [
        "4", "1", "1", "1",
    ]  # fmt: skip
    assert suite.find(".//failure").get("message") == "bad "


def test_two_results_of_one_name_are_not_one_file():
    """Rather an error than the second one only."""
    with pytest.raises(ConfigError, match="two results would be CPU/"):
        export_folder(collected(make_result(), make_result()))


def test_nothing_measured_is_an_error():
    """No empty file that looks like a result."""
    empty = collected(make_result(points=[]))
    for form in ("csv", "parquet", "hlog"):
        with pytest.raises(ConfigError, match="no measured point"):
            export_single(empty, form)


@pytest.mark.parametrize("name", ["../../etc", "/", "..", "", "a" * 300, "..\x00"])
def test_a_foreign_name_stays_in_its_folder(name):
    """Whatever a file says that its model is called."""
    safe = folder_name(name)
    assert safe not in {"", ".", ".."}
    assert "/" not in safe
    assert "\x00" not in safe
    assert len(safe) <= 100


@pytest.mark.parametrize("make", [False, True])
def test_nothing_to_import_is_an_error(tmp_path, make):
    """A path that is not there, and a folder of other things."""
    path = tmp_path / "none"
    if make:
        path.mkdir()
        (path / "notes.txt").write_text("")
    with pytest.raises(ConfigError):
        import_path(path)


def test_an_imported_result_survives_the_disk(tmp_path):
    """Written and read again, it is the same."""
    result = read_byte_mlperf(write(tmp_path, PUBLISHED))
    assert msgspec.json.decode(msgspec.json.encode(result), type=type(result)) == result
