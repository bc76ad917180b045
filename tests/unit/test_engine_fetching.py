"""Datasets from a server on the loopback interface: whole, checked, or not at all."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import threading

import pytest

from bytemlperf.datasets import DataFile, data_files, missing_files
from bytemlperf.datasets.prepare import DATASETS
from bytemlperf.engine.fetching import fetch_files
from bytemlperf.errors import InternalError, PrepareError

BODY = b"what was asked for " * 5000


@pytest.fixture
def site(tmp_path):
    """Serve files; a name with "short" in it is cut, whatever its length says.

    Yields
    ------
    tuple of (Path, str, list)
        The folder, its URL, and the paths that were asked for.
    """
    folder = tmp_path / "site"
    folder.mkdir()
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if "short" not in self.path:
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY[:100])
            return None

        def log_message(self, *args):
            pass

    handler = functools.partial(Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def listed(site, name, body=BODY, **changes):
    folder, url, _ = site
    (folder / name).write_bytes(body)
    fields = {
        "path": f"open_x/{name}",
        "url": f"{url}/{name}",
        "bytes": len(BODY),
        "sha256": hashlib.sha256(BODY).hexdigest(),
        "licence": "none",
    }
    return DataFile(**(fields | changes))


def fetch(files, folder, data_root=None):
    seen = []
    fetch_files(
        files,
        folder,
        data_root=data_root,
        progress=lambda stage, done, total: seen.append((stage, done, total)),
    )
    return seen


def files_below(folder):
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    )


def test_several_files_come_at_once_and_progress_adds_up(site, tmp_path):
    """One figure of done bytes for all; what is there is not asked for again."""
    files = tuple(listed(site, f"{n}.bin") for n in range(6))
    seen = fetch(files, tmp_path / "d")
    assert files_below(tmp_path / "d") == [f"open_x/{n}.bin" for n in range(6)]
    assert seen[-1] == ("downloading", 6 * len(BODY), 6 * len(BODY))
    done = [now for _, now, _ in seen]
    assert done == sorted(done)
    assert fetch(files, tmp_path / "d") == []
    assert len(site[2]) == 6


def test_the_users_own_data_is_not_downloaded(site, tmp_path):
    """But a file of another size is not it."""
    files = (listed(site, "a.bin"), listed(site, "b.bin"))
    own = tmp_path / "own" / "open_x"
    own.mkdir(parents=True)
    (own / "a.bin").write_bytes(BODY)
    (own / "b.bin").write_bytes(b"something else")
    fetch(files, tmp_path / "d", data_root=tmp_path / "own")
    assert files_below(tmp_path / "d") == ["open_x/b.bin"]


def test_a_wrong_file_does_not_stop_the_others_and_does_not_stay(site, tmp_path):
    """The hash is the file's own; what is right is kept."""
    files = (
        listed(site, "right.bin"),
        listed(site, "wrong.bin", body=BODY[::-1]),
    )
    with pytest.raises(PrepareError, match=r"wrong\.bin: expected .* sha256"):
        fetch(files, tmp_path / "d")
    assert files_below(tmp_path / "d") == ["open_x/right.bin"]


def test_a_truncated_file_has_no_name(site, tmp_path):
    """What came is kept aside to be continued, and is not found as data."""
    file = listed(site, "short.bin")
    with pytest.raises(PrepareError, match="broke off: expected"):
        fetch((file,), tmp_path / "d")
    assert files_below(tmp_path / "d") == ["open_x/short.bin.partial"]
    assert missing_files((file,), (tmp_path / "d",)) == [file]


def test_the_table_is_of_datasets_that_exist():
    """URLs are https, paths stay in the folder, and loaders look for them."""
    for dataset in ("open_squad", "open_cifar10", "open_cifar100"):
        assert dataset in DATASETS
        for file in data_files(dataset):
            assert file.url.startswith("https://")
            assert file.path.startswith(f"{dataset}/")
    assert data_files("open_imagenet") == ()
    assert data_files(None) == ()


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x"])
def test_a_path_that_leads_out_is_refused(tmp_path, path):
    """The table is ours, but a mistake in it must not write elsewhere."""
    table = tmp_path / "table.json"
    file = {
        "path": path, "url": "https://a/b", "bytes": 1, "sha256": "a" * 64,
        "licence": "l",
    }  # fmt: skip
    table.write_text(json.dumps({"x": [file]}))
    with pytest.raises(InternalError, match="leads out of the folder"):
        data_files("x", table)
