"""Targets: which reference judges which run, and where the bound is."""

from __future__ import annotations

import numpy as np
import pytest

from bytemlperf.engine.targets import MIN_SNR_DB, check_accuracy, check_numerics
from bytemlperf.launch.assemble import missed_targets, task_status
from bytemlperf.launch.index_file import exit_code
from bytemlperf.model_zoo import ReferenceScore
from bytemlperf.quality import compare_outputs, score
from bytemlperf.report.schema import AccuracyReport, NumericReport, TargetCheck
from bytemlperf.report.target_words import missed_sentence, target_summary

DATA = "ab" * 32


def scored(right, count=200):
    """Score `right` of `count` pictures as recognised."""
    labels = np.zeros(count, np.int64)
    outputs = np.zeros((count, 2), np.float32)
    outputs[np.arange(count), (np.arange(count) >= right).astype(int)] = 1
    return score("top_k", {"y": outputs}, {"label": labels}, np.arange(count))


def reference(value, **changes):
    fields = {"metric": "top1", "value": value, "source": "here", "n": 200}
    return ReferenceScore(**(fields | changes))


@pytest.mark.parametrize(
    ("right", "share", "met"),
    [(160, 1.0, True), (159, 1.0, False), (159, 0.99, True), (158, 0.99, False)],
)
def test_a_share_of_the_reference_is_enough(right, share, met):
    """Of 80 %, 99 % are 79.2 %: 159 of 200 pictures reach it, 158 do not."""
    checks, unjudged = check_accuracy(scored(right), [reference(80.0)], [], share)
    assert unjudged is None
    assert [check.is_met for check in checks] == [met]
    assert checks[0].bound == pytest.approx(0.8 * share)
    assert checks[0].reference == pytest.approx(0.8)
    assert checks[0].value == right / 200


@pytest.mark.parametrize(
    ("references", "why"),
    [
        ([], "the model file has no reference score"),
        ([reference(80.0, metric="f1")], "the model file has no reference score"),
        ([reference(80.0, n=None)], "the reference scores are of other data"),
        ([reference(80.0, data_sha256=DATA)], "the reference scores are of other data"),
        ([reference(80.0, n=10_000)], "the reference is of 10,000 images, 200 were sc"),
    ],
)
def test_a_reference_of_other_data_judges_nothing(references, why):
    """Another data set or another number of samples is another score."""
    checks, unjudged = check_accuracy(scored(10), references, ["cd" * 32], 0.99)
    assert checks == []
    assert unjudged is not None
    assert unjudged.startswith(why)


def test_the_data_is_told_by_its_hash():
    """Published for 50,000 images and reached on these: the latter judges."""
    known = [reference(99.0, n=50_000), reference(50.0, data_sha256=DATA)]
    checks, _ = check_accuracy(scored(100), known, [DATA], 1.0)
    assert [check.bound for check in checks] == [0.5]


def test_log_loss_is_better_when_lower():
    """99 % of a log loss is not a stricter bound but a looser one."""
    clicked = np.array([1, 0, 1, 0] * 10, np.int8)
    shares = np.where(clicked == 1, 0.7, 0.3)
    outputs = {"p": np.stack([1 - shares, shares], axis=1)}
    result = score("criteo", outputs, {"label": clicked}, np.arange(40))
    loss = result.figure("log_loss").value
    known = reference(loss, metric="log_loss", unit="nats", n=40)
    checks, _ = check_accuracy(result, [known], [], 0.99)
    assert checks[0].wanted == "at_most"
    assert checks[0].bound == pytest.approx(loss / 0.99)
    assert checks[0].is_met


def compared(noise, nan=False):
    random = np.random.default_rng(0)
    exact = random.standard_normal((50, 20))
    actual = exact + noise * random.standard_normal(exact.shape)
    if nan:
        actual[3, 4] = np.nan
    ids = np.arange(50)
    return compare_outputs(
        {"y": exact}, {"y": actual}, reference_ids=ids, actual_ids=ids
    )


@pytest.mark.parametrize(
    ("noise", "precision", "met"),
    [
        (1e-6, "fp32", True),
        (1e-2, "FP32", False),
        (1e-2, "fp16", True),
        (1e-1, "fp16", False),
        (5e-2, "bf16", True),
        (0.2, "int8", True),
        (0.2, "int8_fp16", True),
        (0.5, "int8", False),
    ],
)
def test_each_precision_has_its_bound(noise, precision, met):
    """Noise of a thousandth is wrong in float32 and fine in float16."""
    checks, unjudged = check_numerics(compared(noise), precision, None)
    assert unjudged is None
    assert {check.figure: check.is_met for check in checks} == {
        "disagreeing_nonfinite_count": True,
        "snr_db": met,
    }


@pytest.mark.parametrize(
    ("noise", "precision", "stored", "met"),
    [
        (0.2, "fp32", "INT8", True),
        (0.5, "fp32", "INT8", False),
        (1e-2, "fp32", "FP16", True),
        (1e-2, "fp16", "FP32", True),
        (1e-2, "fp32", "FP32", False),
        (1e-2, "fp32", "", False),
    ],
)
def test_weights_that_are_rounded_need_no_finer_answer(noise, precision, stored, met):
    """A runtime that computes an int8 model in fp32 is no nearer to the reference."""
    checks, _ = check_numerics(compared(noise), precision, None, stored=stored)
    ratio = next(check for check in checks if check.figure == "snr_db")
    assert ratio.is_met is met
    assert ("stored in" in ratio.source) is (
        stored in {"INT8", "FP16"} and "32" in precision
    )


def test_a_single_nan_misses_the_target():
    """Whatever the ratio of the rest."""
    checks, _ = check_numerics(compared(0.0, nan=True), "fp32", None)
    assert [check.is_met for check in checks] == [False]


def test_the_workloads_own_bound_goes_first():
    """And an unknown precision is judged by it alone."""
    assert check_numerics(compared(0.1), "posit8", 15.0)[0][1].is_met
    checks, unjudged = check_numerics(compared(0.1), "posit8", None)
    assert checks == []
    assert "no bound is known for precision 'posit8'" in str(unjudged)


def test_bounds_fall_with_the_precision():
    """A coarser format never has a stricter bound."""
    bounds = list(MIN_SNR_DB.values())
    assert bounds == sorted(bounds, reverse=True)


def check(is_met):
    return TargetCheck("top1", 0.5, 0.75, "at_least", is_met, "0.99 of x")


def test_a_missed_target_is_exit_code_1():
    """It is worse than ok, and better than an invalid measurement."""
    accuracy = AccuracyReport("scored", targets=[check(True)])
    numeric = NumericReport("compared", targets=[check(False)])
    missed = missed_targets(accuracy, numeric)
    assert len(missed) == 1
    assert missed_targets(accuracy, None) == []
    assert task_status([], [], is_finished=True, missed=missed) == "off_target"
    assert task_status([], [], is_finished=True, missed=[]) == "ok"
    assert task_status([], [], is_finished=False, missed=missed) == "interrupted"
    assert exit_code(["ok", "off_target"]) == 1
    assert exit_code(["off_target", "invalid"]) == 4


def test_words_say_the_bound_and_the_value():
    """What a person reads."""
    said = missed_sentence(check(False))
    assert said == "top1 is 0.5, expected at least 0.75 (0.99 of x)"
    met = AccuracyReport("scored", targets=[check(True)])
    assert target_summary(met) == "; target met: top1 >= 0.75"
    assert "MISSED" in target_summary(AccuracyReport("scored", targets=[check(False)]))
    not_judged = AccuracyReport("scored", unjudged="why")
    assert target_summary(not_judged) == "; not judged: why"
    assert target_summary(AccuracyReport("scored")) == ""
