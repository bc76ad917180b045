"""Reading recorded arrivals: every unit, exactly, and what is refused."""

from __future__ import annotations

import pytest

from bytemlperf.errors import ConfigError
from bytemlperf.runtime import read_trace


def written(tmp_path, text, name="trace.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


JSON_MS = """\
{"timestamp_ms": 1000, "extra": null}

{"timestamp_ms": 1000.0005, "size": 4}
{"timestamp_ms": "1000.001", "size": 2}
"""
JSON_S = """\
{"timestamp": 0}
{"timestamp": 5e-7, "size": 4}
{"timestamp": 1e-6, "size": 2}"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "timestamp_ns,size\n1000000000,1\n1000000500,4\n1000001000,2\n"),
        ("a.csv", "size,timestamp\n1,1.0\n4,1.0000005\n2,1.000001\n"),
        ("a.csv", "user,timestamp_us,size\nx,1000000,1\ny,1000000.5,4\nz,1000001,2"),
        ("a.jsonl", JSON_MS),
        ("a.JSONL", JSON_S),
    ],
)  # fmt: skip
def test_reads_every_unit_exactly(tmp_path, name, text):
    """The same arrivals in four units and two formats, from their first one on."""
    trace = read_trace(written(tmp_path, text, name))
    assert trace.due_ns.tolist() == [0, 500, 1000]
    assert trace.sizes.tolist() == [1, 4, 2]
    assert trace.source.endswith(name)


def test_epoch_times_keep_their_nanoseconds(tmp_path):
    """Seconds since 1970 with nine decimals need more digits than a double has."""
    text = "timestamp_s\n1700000000.123456789\n1700000000.123456790\n"
    assert read_trace(written(tmp_path, text)).due_ns.tolist() == [0, 1]


def test_one_column_needs_no_header(tmp_path):
    """Bare numbers are seconds, and everything of size one needs no sizes."""
    trace = read_trace(written(tmp_path, "0.5\n0.75\n\n2\n"))
    assert trace.due_ns.tolist() == [0, 250_000_000, 1_500_000_000]
    assert trace.sizes is None


def test_can_be_squeezed_and_cut(tmp_path):
    """A mean rate is reached by scaling time; a limit is on the scaled time."""
    path = written(tmp_path, "0\n1\n2\n3\n")
    assert read_trace(path, rate_qps=2).due_ns.tolist() == [
        0, 500_000_000, 1_000_000_000, 1_500_000_000,
    ]  # fmt: skip
    assert len(read_trace(path, rate_qps=2, seconds=1).due_ns) == 2


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("a.csv", "timestamp\n1\n0.5\n", {}, r"line 3: timestamp 0.5 is before the"),
        ("a.csv", "when\n1\n", {}, "line 2: there is none of timestamp, timestamp_s"),
        ("a.csv", "timestamp\nsoon\n", {}, "line 2: timestamp must be a number, not"),
        ("a.csv", "timestamp\nnan\n", {}, "must be a number, not 'nan'"),
        ("a.csv", "timestamp\n1e30\n", {}, "must be a number"),
        ("a.csv", "timestamp,size\n1,0\n", {}, "a size must be >= 1, not 0"),
        ("a.csv", "timestamp\n", {}, "holds no arrival"),
        ("a.csv", "", {}, "holds no arrival"),
        ("a.csv", "0\n3601\n", {}, "lasts 3,601 s; a schedule lasts at most 3,600 s"),
        ("a.csv", "0\n1\n", {"rate_qps": 0}, "rate_qps must be > 0"),
        ("a.csv", "0\n0\n", {"rate_qps": 1}, "there is no rate to scale"),
        ("a.csv", "0\n1\n", {"seconds": 0}, "seconds must be > 0"),
        ("a.jsonl", "{", {}, "line 1: expected JSON"),
        ("a.jsonl", "[1]", {}, "line 1: expected an object"),
        ("a.txt", "0\n", {}, "a .csv or .jsonl file, not 'a.txt'"),
    ],
)
def test_refuses_what_is_no_trace(tmp_path, name, text, options, message):
    """The line is named, and what it should have been."""
    with pytest.raises(ConfigError, match=message):
        read_trace(written(tmp_path, text, name), **options)


def test_a_missing_file_is_named(tmp_path):
    """The path is in the message."""
    with pytest.raises(ConfigError, match=r"cannot read the trace .*no\.csv"):
        read_trace(tmp_path / "no.csv")
