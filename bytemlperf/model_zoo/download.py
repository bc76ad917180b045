"""Fetch one file over HTTP so that it is whole and the right one, or not there at all.

Input: a URL, a size, a hash. Output: a file. What came of an interrupted download is
kept beside it as ``<name>.partial`` and continued; nothing has the final name before
its size and hash were checked.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import os
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import IO, Any

from bytemlperf.errors import PrepareError
from bytemlperf.model_zoo.artefact_store import Progress, storage_errors

__all__ = ["download"]

BLOCK_BYTES = 1 << 18
CONNECT_AND_READ_SECONDS = 30.0
# Attempts in a row that bring no byte.
ATTEMPTS = 3


class _Broken(Exception):
    """An attempt failed, but the bytes so far are good: continue."""


class _NoLooserRedirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to URLs that would have been allowed in the first place."""

    def redirect_request(
        self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(
    url: str,
    path: Path,
    *,
    size: int,
    sha256: str,
    progress: Progress,
    timeout_seconds: float = CONNECT_AND_READ_SECONDS,
) -> None:
    """Download a file, continuing where an earlier attempt stopped.

    Parameters
    ----------
    url : str
        ``https``, or ``http`` on the loopback interface.
    path : Path
        Where it goes; its folder is made.
    size : int
        Bytes that are expected.
    sha256 : str
        Hash that is expected.
    progress : callable
        Called with ("downloading", bytes done, `size`).
    timeout_seconds : float, default 30
        Longest silence of the server.

    Raises
    ------
    PrepareError
        The URL is not allowed, the server cannot be reached or refuses, or what came
        is not what was expected: with the URL, what was expected and what came.
    StorageError
        The file cannot be written.

    Notes
    -----
    The caller holds a lock on `path`. A connection that breaks is tried again, until
    three in a row have brought nothing; a wrong size or hash is final.
    """
    check_url(url)
    partial = path.with_name(path.name + ".partial")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        failures = 0
        while True:
            before = partial.stat().st_size if partial.exists() else 0
            if before >= size:
                break
            try:
                _fetch(url, partial, size, progress, timeout_seconds)
                break
            except _Broken as error:
                gained = partial.exists() and partial.stat().st_size > before
                failures = 0 if gained else failures + 1
                if failures >= ATTEMPTS:
                    came = partial.stat().st_size if partial.exists() else 0
                    raise PrepareError(
                        f"downloading {url} broke off: expected {size:,} bytes, got "
                        f"{came:,}: {error}",
                        hint="what came is kept; the next attempt continues there",
                    ) from error
        _check(url, partial, size, sha256)
        os.replace(partial, path)


def check_url(url: str) -> None:
    """Refuse URLs over which anybody on the way could change the bytes or the answer.

    Parameters
    ----------
    url : str
        To be opened.

    Raises
    ------
    PrepareError
        It is neither ``https`` nor ``http`` on the loopback interface.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and _is_loopback(parts.hostname or ""):
        return
    raise PrepareError(f"refusing to download {url}: expected an https URL")


def _is_loopback(host: str) -> bool:
    """Say whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fetch(
    url: str, partial: Path, size: int, progress: Progress, timeout_seconds: float
) -> None:
    """Append what is missing to the partial file."""
    start = partial.stat().st_size if partial.exists() else 0
    # Compressed transfer would make sizes and offsets mean something else.
    headers = {"User-Agent": "bytemlperf", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    opener = urllib.request.build_opener(_NoLooserRedirects)
    try:
        with opener.open(request, timeout=timeout_seconds) as response:
            start = _agreed_start(url, response, start, size)
            with partial.open("r+b" if start else "wb") as stream:
                stream.truncate(start)
                stream.seek(start)
                _copy(url, response, stream, start, size, progress)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:
                # The server has less than what is here: that was never part of it.
                partial.unlink(missing_ok=True)
                raise _Broken(f"HTTP 416 for bytes from {start}") from error
            if error.code >= 500:
                raise _Broken(f"HTTP {error.code} {error.reason}") from error
            raise PrepareError(
                f"downloading {url}: expected HTTP 200, got {error.code} {error.reason}"
            ) from error
    except urllib.error.URLError as error:
        raise _Broken(str(error.reason)) from error
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _Broken(f"{type(error).__name__}: {error}") from error


def _agreed_start(
    url: str, response: http.client.HTTPResponse, start: int, size: int
) -> int:
    """Return the offset the server really starts at, and check the size it states."""
    stated: str | None = response.headers.get("Content-Length")
    if response.status == 206:
        span = response.headers.get("Content-Range", "")
        if not span.startswith(f"bytes {start}-"):
            raise PrepareError(
                f"downloading {url}: expected bytes from {start}, got {span!r}"
            )
    else:
        # 200 is the whole file, whatever was asked for.
        start = 0
    if stated is not None and stated.isdigit() and start + int(stated) != size:
        raise PrepareError(
            f"downloading {url}: expected {size:,} bytes, the server states "
            f"{start + int(stated):,}"
        )
    return start


def _copy(
    url: str,
    response: IO[bytes],
    stream: IO[bytes],
    done: int,
    size: int,
    progress: Progress,
) -> None:
    """Copy blocks until all came, and not a byte more."""
    progress("downloading", done, size)
    while block := response.read(BLOCK_BYTES):
        if done + len(block) > size:
            raise PrepareError(
                f"downloading {url}: expected {size:,} bytes, got more than "
                f"{done + len(block):,}"
            )
        stream.write(block)
        done += len(block)
        progress("downloading", done, size)
    if done < size:
        raise _Broken(f"the connection ended after {done:,} bytes")


def _check(url: str, partial: Path, size: int, sha256: str) -> None:
    """Compare size and hash; what fails is removed, as no continuation can mend it."""
    digest = hashlib.sha256()
    with partial.open("rb") as stream:
        while block := stream.read(1 << 22):
            digest.update(block)
        os.fsync(stream.fileno())
    came = partial.stat().st_size
    if came == size and digest.hexdigest() == sha256:
        return
    partial.unlink()
    raise PrepareError(
        f"downloading {url}: expected {size:,} bytes with sha256 {sha256}, got "
        f"{came:,} with {digest.hexdigest()}",
        hint="the file was removed",
    )
