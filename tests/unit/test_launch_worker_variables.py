"""A worker sees the environment without secrets."""

from __future__ import annotations

import pytest

from bytemlperf.launch.worker_variables import without_secrets


@pytest.mark.parametrize(
    "name",
    [
        "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "MYSQL_PASSWORD",
        "HF_TOKEN", "OPENAI_API_KEY", "DATABASE_DSN", "NPM_AUTH", "SESSION_COOKIE",
        "https_proxy", "GOOGLE_APPLICATION_CREDENTIALS", "SSH_PRIVATE_KEY", "PGPASSWD",
        "azure_storage_connection_string",
    ],
)  # fmt: skip
def test_a_secret_is_left_out(name):
    """Whatever its case."""
    assert without_secrets({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "name",
    [
        "PATH", "HOME", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS",
        "KMP_AFFINITY", "PYTHONPATH", "TF_ENABLE_ONEDNN_OPTS", "VENDOR_LICENSE_FILE",
        "XDG_CACHE_HOME", "LANG", "PATTERN", "AUTHOR", "DISPATCH_KEYS", "KEYBOARD",
    ],
)  # fmt: skip
def test_what_moves_numbers_stays(name):
    """Names that only look a little like secrets too."""
    assert without_secrets({name: "x"}) == {name: "x"}


def test_a_backend_may_ask_for_one():
    """By name, said by the user."""
    given = {
        "BYTEMLPERF_PASS_ENV": "VENDOR_TOKEN, B",
        "VENDOR_TOKEN": "x",
        "A_TOKEN": "y",
    }
    assert without_secrets(given).keys() == {"BYTEMLPERF_PASS_ENV", "VENDOR_TOKEN"}
