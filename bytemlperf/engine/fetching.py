"""Bring the files of a dataset into the cache, several at a time.

Input: a list of files and a folder. Output: its files there, each whole and checked.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from bytemlperf.datasets import DataFile, missing_files
from bytemlperf.model_zoo.artefact_store import Progress, locked
from bytemlperf.model_zoo.download import download

__all__ = ["fetch_files"]

# Servers and lines are shared; more at a time is not faster, only ruder.
AT_A_TIME = 4


def fetch_files(
    files: tuple[DataFile, ...],
    folder: Path,
    *,
    data_root: Path | None,
    progress: Progress,
) -> None:
    """Download what is missing.

    Parameters
    ----------
    files : tuple of DataFile
        Of a dataset.
    folder : Path
        Of downloaded data; made if absent.
    data_root : Path or None
        Folder of the user's own data: what is there is not downloaded.
    progress : callable
        Called with ("downloading", bytes done, bytes of all), from any thread, one at
        a time.

    Raises
    ------
    PrepareError
        A file cannot be had. Others that were being fetched are fetched to their end
        first, and stay.
    StorageError
        The folder cannot be written.
    """
    wanted = missing_files(files, (data_root, folder))
    done = dict.fromkeys((file.path for file in wanted), 0)
    total = sum(file.bytes for file in wanted)
    lock = Lock()

    def fetch(file: DataFile) -> None:
        def report(stage: str, now: int, size: int) -> None:
            del size
            with lock:
                done[file.path] = now
                progress(stage, sum(done.values()), total)

        path = folder / file.path
        with locked(path, lambda stage, now, size: None):
            if missing_files((file,), (folder,)):
                download(
                    file.url,
                    path,
                    size=file.bytes,
                    sha256=file.sha256,
                    progress=report,
                )

    with ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="download") as pool:
        running = [pool.submit(fetch, file) for file in wanted]
    for each in running:
        each.result()
