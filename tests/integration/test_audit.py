"""``make audit`` against a database of our own, and against none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WEAKNESS = {
    "schema_version": "1.4.0",
    "id": "PYSEC-2099-1",
    "summary": "it is weak",
    "affected": [
        {
            "package": {"name": "weakling", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "2.0"}]}],
        }
    ],
}


class Database(BaseHTTPRequestHandler):
    """Answers queries as OSV does: one package is weak, the others are not known."""

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_weak = query["package"]["name"] == "weakling"
        body = json.dumps({"vulns": [WEAKNESS]} if is_weak else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def database() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Database) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def audit(folder: Path, url: str, *packages: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("pip_audit", reason="needs the extra 'audit'")
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(packages) + "\n")
    without = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
    env = {name: value for name, value in os.environ.items()
           if name.upper() not in without}  # fmt: skip
    return subprocess.run(
        [
            sys.executable, ROOT / "scripts" / "audit.py", "-r", requirements,
            "--no-deps", "--disable-pip", "--cache-dir", folder / "cache",
        ],
        env=env | {"BYTEMLPERF_OSV_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )  # fmt: skip


def test_a_weakness_is_found(tmp_path: Path, database: str) -> None:
    """Named, with the version that mends it, and exit code 1."""
    done = audit(tmp_path, database, "weakling==1.0", "sturdy==3.1")
    assert "weakling 1.0: PYSEC-2099-1, mended in 2.0" in done.stdout, done.stderr
    assert "2 packages were asked about, 1 have known weaknesses" in done.stdout
    assert done.returncode == 1


def test_nothing_known_is_told_from_nobody_asked(tmp_path: Path, database: str) -> None:
    """Silence is not a clean bill: another exit code, and it says why."""
    done = audit(tmp_path, database, "sturdy==3.1")
    assert "1 packages were asked about, 0 have" in done.stdout, done.stderr
    assert done.returncode == 0
    done = audit(tmp_path, "http://127.0.0.1:9/v1/query", "sturdy==3.1")
    assert done.returncode == 3
    assert "no audit: the database gave no answer" in done.stderr
    assert done.stdout == ""
