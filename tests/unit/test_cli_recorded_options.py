"""What `rerun` takes over from a recorded command line."""

from __future__ import annotations

import re

import pytest

from bytemlperf.cli.recorded_options import recorded_options
from bytemlperf.errors import ConfigError


def test_options_are_read_in_every_spelling():
    """With and without the sign, dashes or underscores; the last one counts."""
    found = recorded_options(
        [
            "bytemlperf",
            "--tasks",
            "all",
            "--model-path",
            "a",
            "--weights=seeded",
            "--model_path=b",
            "--quick",
            "--slo",
            "p99<=5ms",
        ]
    )
    assert found.values == {"model_path": "b", "weights": "seeded", "slo": "p99<=5ms"}
    assert found.flags == {"quick"}


def test_a_recorded_path_is_taken_unless_another_is_given(tmp_path):
    """What is given now goes first."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    found = recorded_options(["bytemlperf", "--data_path", str(old)])
    assert found.path("data_path", None) == old
    assert found.path("data_path", new) == new
    assert found.path("model_path", None) is None


def test_a_recorded_path_that_is_gone_is_an_error_that_says_what_to_give(tmp_path):
    """Nothing else is measured in its place."""
    gone = tmp_path / "gone.onnx"
    found = recorded_options(["bytemlperf", f"--model_path={gone}"])
    with pytest.raises(
        ConfigError, match=rf"--model_path {re.escape(str(gone))}.*no such file"
    ) as caught:
        found.path("model_path", None)
    assert "give --model_path" in str(caught.value.hint)


def test_a_setting_that_differed_between_runs_is_not_guessed():
    """A sweep over models does not record which one a run had."""
    with pytest.raises(ConfigError, match="which model_path it had is not recorded"):
        recorded_options(["bytemlperf", "ab", "--b", "max_batch=2,model_path=x"])
    assert recorded_options(["bytemlperf", "ab", "--b", "max_batch=2"]).values == {}
