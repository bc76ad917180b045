"""Criteo rows: formats, hash, scaling by the training rows, errors with the line."""

from __future__ import annotations

import numpy as np
import pytest

from bytemlperf.datasets import ModelHints, open_arrays, open_labels, prepare_samples
from bytemlperf.datasets.criteo_rows import read_rows
from bytemlperf.datasets.farmhash import fingerprint64, hash_bucket
from bytemlperf.errors import PrepareError
from bytemlperf.tensor_spec import TensorSpec

SPECS = (
    TensorSpec("categorical", "int64", (26, 2), "category_pairs", 0, 1000),
    TensorSpec("numeric", "float32", (1, 13)),
)


def make_row(label, number, category="68fd1e64"):
    return [str(label), *([str(number)] * 13), *([category] * 26)]


def write_rows(root, rows, name="open_criteo_kaggle/train.txt", separator="\t"):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(separator.join(row) + "\n" for row in rows))
    return path


def prepare(root, **changes):
    arguments = {
        "specs": SPECS,
        "model": ModelHints(model="widedeep", framework="Tensorflow"),
        "cache_dir": root / "cache",
        "data_root": root,
        "max_samples": None,
        "seed": 0,
    }
    return prepare_samples("open_criteo_kaggle", **(arguments | changes))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0x9AE16A3B2F90404F),
        ("a", 0xB3454265B6DF75E3),
        ("ab", 0xAA8D6E5242ADA51E),
        ("abc", 0x24A5B3A074E7F369),
    ],
)
def test_fingerprint_of_short_strings(text, expected):
    """Published FarmHash64 values (farmhashna, also Fingerprint64 below 17 bytes)."""
    assert fingerprint64(text.encode()) == expected


def test_hash_is_stable_and_refuses_what_it_does_not_cover():
    """A bucket of a real category, and 17 bytes."""
    assert 0 <= hash_bucket("68fd1e64", 1000) < 1000
    with pytest.raises(PrepareError, match="at most 16 bytes, it has 17"):
        hash_bucket("x" * 17, 1000)


def test_min_and_max_are_of_the_training_rows(tmp_path):
    """Seven rows train (0 to 60), three are held out and may leave [0, 1]."""
    write_rows(tmp_path, [make_row(n % 2, n * 10) for n in range(10)])
    prepared = prepare(tmp_path)
    arrays, labels = open_arrays(prepared), open_labels(prepared)["label"]
    assert prepared.rows_per_sample == {"categorical": 26, "numeric": 1}
    assert sorted(arrays["numeric"][:, 0]) == pytest.approx([70 / 60, 80 / 60, 90 / 60])
    for value, label in zip(arrays["numeric"][:, 0], labels, strict=True):
        assert round(value * 60 / 10) % 2 == label
    assert prepared.subset == "all 3 held_out rows (2 clicks) of the 10 of train.txt"
    hints = ModelHints(model="widedeep", framework="Tensorflow", split="train")
    training = prepare(tmp_path, model=hints)
    assert training.count == 7
    assert open_arrays(training)["numeric"].max() == 1.0


def test_columns_are_sorted_by_name_as_text(tmp_path):
    """I1, I10, I11, ... and C1, C10, C11, ...: the order the published model has."""
    row = ["1", *map(str, range(1, 14)), *(f"c{n}" for n in range(1, 27))]
    zeros = ["0"] * 14 + [""] * 26
    write_rows(tmp_path, [zeros, [*["0"], *["26"] * 13, *[""] * 26], row])
    arrays = open_arrays(prepare(tmp_path))
    order = [1, 10, 11, 12, 13, 2, 3, 4, 5, 6, 7, 8, 9]
    assert arrays["numeric"][0] == pytest.approx(np.array(order) / 26)
    pairs = arrays["categorical"]
    assert pairs[:, 0].tolist() == list(range(26))
    names = sorted(f"c{n}" for n in range(1, 27))
    assert pairs[:, 1].tolist() == [hash_bucket(name, 1000) for name in names]


def test_three_formats_read_alike(tmp_path):
    """Raw tsv, csv without a header, csv with one that names more columns."""
    rows = [make_row(1, 5), make_row(0, "")]
    raw = write_rows(tmp_path, rows, "a.txt")
    plain = write_rows(tmp_path, rows, "b.csv", ",")
    names = [f"I{n}" for n in range(1, 14)] + [f"C{n}" for n in range(1, 27)]
    header = ["Id", "Label", *names]
    named = write_rows(
        tmp_path,
        [header, *([str(at), *row] for at, row in enumerate(rows))],
        "c.csv",
        ",",
    )
    expected = list(read_rows(raw))
    assert [row.clicked for row in expected] == [1, 0]
    assert expected[1].numeric == [0.0] * 13
    assert list(read_rows(plain)) == list(read_rows(named)) == expected


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (make_row(2, 1), "line 2: the label should be 0 or 1, it is '2'"),
        (make_row(1, "x"), "line 2: I1='x' is no number"),
        (make_row(1, "nan"), "line 2: I1='nan' is not finite"),
        (make_row(1, 1)[:-1], "line 2: expected 40 columns, got 39"),
        (make_row(1, 1, "x" * 20), "at most 16 bytes"),
    ],
)
def test_malformed_rows_name_the_line(tmp_path, row, message):
    """And nothing half-written stays in the cache."""
    write_rows(tmp_path, [make_row(1, 1), row, row])
    with pytest.raises(PrepareError, match=message):
        prepare(tmp_path)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".locks"]


def test_files_that_are_no_criteo(tmp_path):
    """Too few columns, a header without one, and no rows."""
    with pytest.raises(PrepareError, match="expected 40 columns"):
        list(read_rows(write_rows(tmp_path, [["1", "2"]], "a.csv", ",")))
    with pytest.raises(PrepareError, match="the header has no column 'i1'"):
        list(read_rows(write_rows(tmp_path, [["label", "I2"]], "b.csv", ",")))
    write_rows(tmp_path, [])
    with pytest.raises(PrepareError, match="has 0 rows: too few"):
        prepare(tmp_path)


def test_models_that_rows_do_not_fit(tmp_path):
    """The shapes that are filled are named."""
    write_rows(tmp_path, [make_row(1, 1)])
    with pytest.raises(
        PrepareError, match=r"fills inputs of shape \[\(1, 13\), \(26, 2"
    ):
        prepare(tmp_path, specs=SPECS[:1])
