"""The environment rule, without making an environment: reading, checking, keying."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path

import pytest

import bytemlperf
from bytemlperf.errors import BackendUnavailableError, ConfigError, StorageError
from bytemlperf.launch import environment, virtual_environment
from bytemlperf.launch.environment import resolve_environment
from bytemlperf.launch.requirements_file import read_requirements, unmet_requirements

ABSENT = "a-package-that-is-not-there"


@pytest.fixture
def write(tmp_path):
    """Return a writer of ``GOYA/requirements.txt`` and files beside it."""
    folder = tmp_path / "GOYA"
    folder.mkdir()

    def write(text: str, name: str = "requirements.txt") -> Path:
        path = folder / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def never(monkeypatch):
    """Make the making of an environment an error."""

    def refuse(*args: object) -> None:
        raise AssertionError(f"an environment was made: {args}")

    monkeypatch.setattr(environment, "make_virtual_environment", refuse)


def unmet(path: Path) -> list[str]:
    return unmet_requirements(read_requirements(path))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n\n",
        "numpy\n",
        "NumPy>=1.0  # any\n",
        "numpy \\\n  >=1.0\n",
        f"{ABSENT}; python_version < '3'\n",
        f"{ABSENT}; sys_platform == 'win32'\n",
        "--find-links wheels\n--extra-index-url=https://example.invalid\nnumpy\n",
        "numpy --hash=sha256:abc\n",
        "-c limits.txt\nnumpy\n",
        "-r more.txt\n",
        f"numpy=={metadata.version('numpy')}\n",
    ],
)
def test_satisfied_files_mean_this_interpreter(write, never, tmp_path, text):
    """Nothing is made, written or said when nothing is to do."""
    write(f"{ABSENT}<1\n", "limits.txt")
    write("msgspec\n", "more.txt")
    found = resolve_environment(
        write(text),
        cache_dir=tmp_path / "cache",
        progress=lambda step: pytest.fail(step),
    )
    assert (found.kind, found.python) == ("current", Path(sys.executable))
    assert not (tmp_path / "cache").exists()


def test_no_file_means_this_interpreter(never, tmp_path):
    """A backend without requirements asks for nothing."""
    assert resolve_environment(None, cache_dir=tmp_path).kind == "current"


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        (f"{ABSENT}\n", f"{ABSENT} (not installed)"),
        ("numpy==0.1\n", "numpy==0.1 ("),
        ("-r more.txt\n", f"{ABSENT} (not installed)"),
        ("-c limits.txt\nnumpy\n", "numpy<0.1 ("),
        ("./goya-1.0-py3-none-any.whl\n", "goya-1.0-py3-none-any.whl (an archive"),
        ("numpy @ https://example.invalid/n.whl\n", "a direct reference"),
    ],
)
def test_unmet_requirements_are_named(write, text, phrase):
    """What is missing, too old or not to be checked is said with its reason."""
    write(f"{ABSENT}\n", "more.txt")
    write("numpy<0.1\n", "limits.txt")
    (found,) = unmet(write(text))
    assert phrase in found


def test_extras_are_followed(write, monkeypatch, tmp_path):
    """An extra's own packages must be there too."""
    installed = tmp_path / "goya_sdk-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: goya-sdk\nVersion: 1.0\n"
        "Requires-Dist: msgspec\n"
        "Requires-Dist: numpy; extra == 'gpu'\n"
        f"Requires-Dist: {ABSENT}; extra == 'gpu'\n"
        "Requires-Dist: another-absent; extra == 'dev'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert unmet(write("goya-sdk\n")) == []
    assert unmet(write("goya_sdk[gpu]>=1\n")) == [
        f'{ABSENT}; extra == "gpu", for goya-sdk[gpu] (not installed)'
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("numpy\n=>\n", r"requirements\.txt:2: expected a requirement"),
        ("-e ./sdk\n", "option '-e' is not supported"),
        ("--target=/\n", "option '--target' is not supported"),
        ("./sdk\n", "expected a requirement, came './sdk'"),
        ("-r gone.txt\n", r"cannot read requirements .*gone\.txt"),
        ("-r requirements.txt\n", "includes itself"),
    ],
)
def test_lines_that_cannot_be_kept_track_of_are_refused(write, text, message):
    """A line is understood, or refused with its place; never passed over."""
    with pytest.raises(ConfigError, match=message):
        read_requirements(write(text))


def key_of(path: Path) -> str:
    return environment._digest(read_requirements(path), ["anyio>=4"])


def test_key_follows_the_text(write):
    """Other requirements are another environment; comments are not."""
    first = key_of(write("numpy\nrich\n"))
    assert key_of(write("numpy  # fast\n\nrich\n")) == first
    assert key_of(write("numpy\nrich>=1\n")) != first


def test_key_follows_a_wheels_content(write):
    """A wheel that is replaced under the same name is installed again."""
    path = write("./goya-1.0-py3-none-any.whl\n")
    write("one", "goya-1.0-py3-none-any.whl")
    first = key_of(path)
    write("two", "goya-1.0-py3-none-any.whl")
    assert key_of(path) != first


def test_core_dependencies_are_our_own():
    """A venv gets what the package itself needs, without its extras."""
    core = environment._core_dependencies()
    assert any(text.startswith("msgspec") for text in core)
    assert not any("pytest" in text or "extra" in text for text in core)


def test_only_the_package_is_linked(tmp_path):
    """The folder on PYTHONPATH holds the package and nothing else."""
    folder = environment._link_package(tmp_path)
    (link,) = folder.iterdir()
    assert link.resolve() == Path(bytemlperf.__file__).resolve().parent
    assert environment._link_package(tmp_path) == folder


def test_stale_link_is_replaced(tmp_path):
    """A link into a place that has moved is made anew."""
    link = environment._link_package(tmp_path) / "bytemlperf"
    link.unlink()
    link.symlink_to(tmp_path / "gone")
    environment._link_package(tmp_path)
    assert link.resolve() == Path(bytemlperf.__file__).resolve().parent


def test_unwritable_cache_is_a_storage_error(write, tmp_path):
    """A file where the cache should be is reported with its path."""
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(StorageError, match="cannot keep environment"):
        resolve_environment(write(ABSENT), cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("OSError: [Errno 28] No space left on device", "no disk space"),
        ("NewConnectionError: Temporary failure in name resolution", "no network"),
        ("ERROR: ResolutionImpossible: see", "contradict"),
        ("ERROR: No matching distribution found for x", "no such version"),
        ("error: command 'gcc' failed", "did not compile"),
        ("something else", None),
    ],
)
def test_failure_shows_the_log_and_a_hint(tmp_path, said, hint):
    """What pip said is in the error, with what to do about it."""
    command = [sys.executable, "-c", f"print({said!r}); raise SystemExit(3)"]
    with pytest.raises(BackendUnavailableError, match="installing failed") as error:
        virtual_environment._run(
            command,
            "installing",
            log=tmp_path / "log",
            folder=tmp_path,
            progress=None,
        )
    assert said in error.value.detail
    assert (hint is None) == (error.value.hint is None)
    assert hint is None or hint in error.value.hint


def test_installation_does_not_inherit_a_users_pip_settings(tmp_path, monkeypatch):
    """PYTHONPATH and a target folder of the user's would spoil the environment."""
    for name in ("PYTHONPATH", "PIP_TARGET", "PIP_PREFIX"):
        monkeypatch.setenv(name, str(tmp_path))
    log = tmp_path / "log"
    show = "import os; print(sorted(k for k in os.environ if k[:2] in ('PY', 'PI')))"
    virtual_environment._run(
        [sys.executable, "-c", show], "x", log=log, folder=tmp_path, progress=None
    )
    said = log.read_text().splitlines()[-1]
    assert "PIP_USER" in said
    assert "PYTHONPATH" not in said
    assert "PIP_TARGET" not in said


def test_environment_variables_are_only_added(write, never, tmp_path):
    """Finding an environment changes nothing in this process."""
    before = dict(os.environ)
    resolve_environment(write("numpy\n"), cache_dir=tmp_path)
    assert dict(os.environ) == before
