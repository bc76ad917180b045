"""Cards are complete, and the share of a peak is a fraction by hand."""

from __future__ import annotations

import datetime
import json

import msgspec
import pytest
from support.sample_results import make_result

from bytemlperf.engine.host_card import host_card, ops_per_cycle
from bytemlperf.errors import ConfigError, UnknownNameError
from bytemlperf.report.hardware_card import best_efficiency, list_cards, read_card
from bytemlperf.report.task_words import task_facts


@pytest.mark.parametrize("name", list_cards())
def test_a_card_that_comes_along_is_plausible(name):
    """Named as its file, with a source, and lower precisions no slower."""
    card = read_card(name)
    assert card.sku == name
    assert card.source
    peaks = card.peak_ops_per_s
    order = [peaks[kind] for kind in ("fp64", "fp32", "fp16", "int8") if kind in peaks]
    assert order == sorted(order)
    assert all(1e12 < ops < 1e16 for ops in order)
    if card.checked_on is not None:
        assert datetime.date.fromisoformat(card.checked_on)
        assert str(card.source_url).startswith("https://")
    assert set(card.unverified) <= set(card.__struct_fields__)


@pytest.mark.parametrize(
    ("name", "is_verified"),
    [
        ("aws-inferentia2", True),
        ("qualcomm-aic100-standard", True),
        # Its page confirms memory and power, and says nothing of the peaks.
        ("graphcore-c600", False),
        ("nvidia-t4", False),
    ],
)
def test_a_share_of_a_peak_that_nobody_confirmed_says_so(name, is_verified):
    """The reader is told beside the number, not in a file."""
    card = read_card(name)
    assert card.has_verified_peaks is is_verified
    result = efficient(precision="fp16")
    provenance = msgspec.structs.replace(result.provenance, hardware_card=card)
    result = msgspec.structs.replace(result, provenance=provenance)
    said = dict(task_facts(result))["peak"]
    assert f"card: {name}" in said
    assert ("peaks unverified" in said) is not is_verified


def test_unknown_and_malformed_cards_are_refused(tmp_path):
    """The nearest name, or the field, is in the message."""
    with pytest.raises(UnknownNameError, match="hardware_card 'nvidia-t5'") as caught:
        read_card("nvidia-t5")
    assert "nvidia-t4" in caught.value.hint
    path = tmp_path / "card.json"
    path.write_text(
        json.dumps(
            {"sku": "x", "vendor": "y", "source": "z", "peak_ops_per_s": {"fp32": 0}}
        )
    )
    with pytest.raises(ConfigError, match="peak_ops_per_s of fp32: expected > 0"):
        read_card(str(path))
    path.write_text('{"sku": "x", "tops": 1}')
    with pytest.raises(ConfigError, match="tops"):
        read_card(str(path))
    with pytest.raises(ConfigError, match="cannot read hardware card"):
        read_card(str(tmp_path / "none.json"))


def efficient(precision="fp32", ops=8e9, invalid=(), devices=1):
    result = make_result()
    replace = msgspec.structs.replace
    return replace(
        result,
        model=replace(result.model, ops_per_sample=ops),
        compile=replace(result.compile, precision=precision, device_count=devices),
        provenance=replace(result.provenance, hardware_card=read_card("nvidia-t4")),
        points=[
            replace(point, throughput_samples_per_s=rate, invalid_reasons=reasons)
            for point, rate, reasons in zip(
                (result.points * 2)[:2],
                (100.0, 200.0),
                ([], list(invalid)),
                strict=True,
            )
        ],
    )


def test_the_share_is_rate_times_operations_over_peak():
    """200 samples/s of 8e9 operations on 8.1e12: 19.75 %."""
    found = best_efficiency(efficient())
    assert found.share == pytest.approx(200 * 8e9 / 8.1e12)
    assert (found.precision, found.sku) == ("fp32", "nvidia-t4")
    assert best_efficiency(efficient("int8_mix")).peak_ops_per_s == 130e12
    two = best_efficiency(efficient(devices=2))
    assert two.share == pytest.approx(found.share / 2)


def test_nothing_is_guessed():
    """No operations, no peak for the precision, or no valid point: no share."""
    assert best_efficiency(efficient(ops=None)) is None
    assert best_efficiency(efficient("fp64")) is None
    assert best_efficiency(efficient("none")) is None
    slower = best_efficiency(efficient(invalid=["too few queries"]))
    assert slower.ops_per_s == pytest.approx(100 * 8e9)


@pytest.mark.parametrize(
    ("flags", "machine", "fp32", "int8"),
    [
        ("avx512f avx512_vnni amx_int8", "x86_64", 64, 2048),
        ("avx512f avx512_vnni", "x86_64", 64, 256),
        ("avx2 fma avx", "x86_64", 32, None),
        ("avx", "x86_64", 16, None),
        ("sse2", "x86_64", 8, None),
        ("asimd", "aarch64", 16, None),
    ],
)
def test_operations_a_cycle(flags, machine, fp32, int8):
    """The widest instructions decide."""
    found = ops_per_cycle(set(flags.split()), machine)
    assert found["fp32"] == fp32
    assert found.get("int8") == int8


def test_the_hosts_card_says_how_it_was_derived():
    """Or there is none, where the frequency is not told."""
    card = host_card()
    if card is None:
        pytest.skip("this machine does not say its processor's frequency")
    assert "GHz x operations per cycle" in card.source
    assert card.peak_ops_per_s["fp32"] > 1e9
