"""Downloads from servers that stall, truncate, lie, or give the wrong thing."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bytemlperf.errors import PrepareError
from bytemlperf.model_zoo.download import check_url, download

BODY = bytes(range(256)) * 4096  # 1 MiB: several blocks
SHA256 = hashlib.sha256(BODY).hexdigest()


@dataclass
class Site:
    """A server on the loopback interface whose manners a test chooses.

    `answers` are used up one a request; the last one stays.
    """

    answers: list[Callable[[http.server.BaseHTTPRequestHandler], None]]
    ranges: list[str | None] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    running: list[tuple[http.server.ThreadingHTTPServer, threading.Thread, Site]] = []

    def start(*answers: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Site:
        site = Site(list(answers))

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self) -> None:
                site.ranges.append(self.headers.get("Range"))
                answer = site.answers[0]
                if len(site.answers) > 1:
                    site.answers.pop(0)
                answer(self)

            def log_message(self, *args: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        site.url = f"http://127.0.0.1:{server.server_address[1]}/model.pth"
        running.append((server, thread, site))
        return site

    yield start
    for server, thread, site in running:
        site.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def send(
    handler: http.server.BaseHTTPRequestHandler,
    body: bytes,
    *,
    status: int = 200,
    length: int | None = None,
    content_range: str | None = None,
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    if content_range:
        handler.send_header("Content-Range", content_range)
    handler.end_headers()
    try:
        handler.wfile.write(body)
    except (BrokenPipeError, ConnectionResetError):
        # The client has seen enough: that is what some tests are about.
        handler.close_connection = True


def whole(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Ignore Range, as simple servers do."""
    send(handler, BODY)


def ranged(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Honour Range."""
    asked = handler.headers.get("Range")
    if asked is None:
        return send(handler, BODY)
    start = int(asked.removeprefix("bytes=").removesuffix("-"))
    span = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
    return send(handler, BODY[start:], status=206, content_range=span)


def truncated_after(count: int) -> Callable[..., None]:
    """State the whole length, send less, and hang up."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range") or "bytes=0-"
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        span = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
        send(
            handler,
            BODY[start : start + count],
            status=206 if start else 200,
            length=len(BODY) - start,
            content_range=span if start else None,
        )

    return answer


def status(code: int) -> Callable[..., None]:
    """Refuse."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        send(handler, b"no", status=code)

    return answer


def fetch(
    site: Site, path: Path, *, sha256: str = SHA256, timeout_seconds: float = 30.0
) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    download(
        site.url,
        path,
        size=len(BODY),
        sha256=sha256,
        progress=lambda stage, done, total: seen.append((done, total)),
        timeout_seconds=timeout_seconds,
    )
    return seen


def test_a_file_arrives_whole_with_progress(
    serve: Callable[..., Site], tmp_path: Path
) -> None:
    """Bytes, name and progress are right, and nothing else stays."""
    site = serve(whole)
    path = tmp_path / "checkpoints" / "model.pth"
    seen = fetch(site, path)
    assert path.read_bytes() == BODY
    assert seen[0] == (0, len(BODY))
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)
    assert [found.name for found in path.parent.iterdir()] == ["model.pth"]


@pytest.mark.parametrize(
    ("second", "asked"), [(ranged, "bytes=300000-"), (whole, "bytes=300000-")]
)
def test_a_broken_connection_is_continued(
    serve: Callable[..., Site],
    tmp_path: Path,
    second: Callable[..., None],
    asked: str,
) -> None:
    """It goes on where it stopped, whether or not the server honours Range."""
    site = serve(truncated_after(300000), second)
    fetch(site, tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == BODY
    assert site.ranges == [None, asked]


def test_an_earlier_run_is_continued(
    serve: Callable[..., Site], tmp_path: Path
) -> None:
    """What a killed process left behind is used."""
    (tmp_path / "model.pth.partial").write_bytes(BODY[:1000])
    site = serve(ranged)
    fetch(site, tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == BODY
    assert site.ranges == ["bytes=1000-"]


def test_a_complete_partial_needs_no_server(tmp_path: Path) -> None:
    """Killed between the last byte and the rename: only the check is left."""
    (tmp_path / "model.pth.partial").write_bytes(BODY)
    fetch(Site([], url="http://127.0.0.1:9/model.pth"), tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == BODY


def test_a_connection_that_keeps_breaking_is_given_up(
    serve: Callable[..., Site], tmp_path: Path
) -> None:
    """Three attempts without a new byte end it, and what came is kept."""
    site = serve(truncated_after(5000), truncated_after(0))
    with pytest.raises(
        PrepareError, match="broke off: expected 1,048,576 bytes, got 5,0"
    ):
        fetch(site, tmp_path / "model.pth")
    assert len(site.ranges) == 4
    assert not (tmp_path / "model.pth").exists()
    assert (tmp_path / "model.pth.partial").read_bytes() == BODY[:5000]


def test_a_slow_trickle_is_seen_through(
    serve: Callable[..., Site], tmp_path: Path
) -> None:
    """As long as bytes keep coming, attempts are not counted."""
    site = serve(truncated_after(200000))
    fetch(site, tmp_path / "model.pth")
    assert len(site.ranges) == 6
    assert (tmp_path / "model.pth").read_bytes() == BODY


def test_a_stalling_server_times_out(
    serve: Callable[..., Site], tmp_path: Path
) -> None:
    """Silence ends an attempt; the error says so."""

    def stall(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        handler.wfile.write(BODY[:4096])
        handler.wfile.flush()
        site.released.wait()

    def stall_again(handler: http.server.BaseHTTPRequestHandler) -> None:
        site.released.wait()

    site = serve(stall, stall_again)
    with pytest.raises(PrepareError, match=r"broke off: expected 1,048,576") as caught:
        fetch(site, tmp_path / "model.pth", timeout_seconds=0.05)
    assert "timed out" in str(caught.value)


def test_a_wrong_hash_is_final(serve: Callable[..., Site], tmp_path: Path) -> None:
    """The error holds both hashes; nothing stays, so that nothing is continued."""
    site = serve(whole)
    with pytest.raises(PrepareError, match=f"sha256 {'0' * 64}, got .* {SHA256}"):
        fetch(site, tmp_path / "model.pth", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []
    assert len(site.ranges) == 1


def test_a_rotten_partial_is_found_out(
    serve: Callable[..., Site], tmp_path: Path
) -> None:
    """Continuing something else's bytes cannot pass the hash."""
    (tmp_path / "model.pth.partial").write_bytes(b"x" * 1000)
    with pytest.raises(PrepareError, match="with sha256"):
        fetch(serve(ranged), tmp_path / "model.pth")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stated", [len(BODY) - 1, len(BODY) + 1, 10 * len(BODY)])
def test_another_stated_size_is_refused(
    serve: Callable[..., Site], tmp_path: Path, stated: int
) -> None:
    """A server that announces another size is not listened to."""
    site = serve(lambda handler: send(handler, BODY, length=stated))
    with pytest.raises(PrepareError, match=f"the server states {stated:,}"):
        fetch(site, tmp_path / "model.pth")


def test_more_than_announced_is_refused(
    serve: Callable[..., Site], tmp_path: Path
) -> None:
    """Without a stated size, the first byte too many ends it."""

    def endless(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not site.released.is_set():
                handler.wfile.write(BODY)
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True

    site = serve(endless)
    with pytest.raises(PrepareError, match="expected 1,048,576 bytes, got more than"):
        fetch(site, tmp_path / "model.pth")
    assert (tmp_path / "model.pth.partial").stat().st_size <= len(BODY)


def test_another_range_than_asked_is_refused(
    serve: Callable[..., Site], tmp_path: Path
) -> None:
    """A 206 that starts elsewhere would shift every byte after it."""
    (tmp_path / "model.pth.partial").write_bytes(BODY[:1000])
    span = f"bytes 0-{len(BODY) - 1}/{len(BODY)}"
    site = serve(lambda h: send(h, BODY, status=206, content_range=span))
    with pytest.raises(PrepareError, match="expected bytes from 1000, got 'bytes 0-"):
        fetch(site, tmp_path / "model.pth")


def test_a_refused_range_starts_anew(
    serve: Callable[..., Site], tmp_path: Path
) -> None:
    """HTTP 416 drops what was here and asks for all."""
    (tmp_path / "model.pth.partial").write_bytes(BODY[:1000])
    site = serve(status(416), whole)
    fetch(site, tmp_path / "model.pth")
    assert site.ranges == ["bytes=1000-", None]
    assert (tmp_path / "model.pth").read_bytes() == BODY


def test_not_found_is_final_and_named(
    serve: Callable[..., Site], tmp_path: Path
) -> None:
    """A 404 is not asked for again."""
    site = serve(status(404))
    with pytest.raises(PrepareError, match=r"model\.pth: expected HTTP 200, got 404"):
        fetch(site, tmp_path / "model.pth")
    assert len(site.ranges) == 1


def test_a_server_error_is_tried_again(
    serve: Callable[..., Site], tmp_path: Path
) -> None:
    """A 503 may pass."""
    site = serve(status(503), status(503), whole)
    fetch(site, tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == BODY


def test_no_server_is_an_error_with_the_url(tmp_path: Path) -> None:
    """Nobody listens: the error says what was wanted from where."""
    site = Site([], url="http://127.0.0.1:9/model.pth")
    with pytest.raises(PrepareError, match=r"downloading http://127\.0\.0\.1:9/model"):
        fetch(site, tmp_path / "model.pth")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/model.pth",
        "http://10.0.0.1/model.pth",
        "http://localhost.example.org/model.pth",
        "ftp://example.org/model.pth",
        "file:///etc/passwd",
        "https:///model.pth",
    ],
)
def test_only_safe_urls_are_opened(url: str) -> None:
    """Plain http leaves the machine never, and no other scheme is known."""
    with pytest.raises(PrepareError, match="refusing to download"):
        check_url(url)


def test_a_redirect_to_an_unsafe_url_is_refused(
    serve: Callable[..., Site], tmp_path: Path
) -> None:
    """A redirect cannot open what a model file could not."""

    def away(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "http://192.0.2.1/model.pth")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with pytest.raises(PrepareError, match=r"refusing to download http://192\.0\.2\.1"):
        fetch(serve(away), tmp_path / "model.pth")
