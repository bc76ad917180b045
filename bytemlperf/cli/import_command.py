"""The verb `import`: what other tools measured, as results beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bytemlperf.cli.options import WHERE

__all__ = ["import_results"]


def import_results(
    files: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    out: Annotated[Path, Parameter(group=WHERE)] = Path("imported"),
) -> int:
    """Read results of ByteMLPerf and MLPerf LoadGen, to be reported beside ours.

    Parameters
    ----------
    files
        ByteMLPerf's result-<precision>.json, LoadGen's mlperf_log_summary.txt and
        mlperf_log_detail.txt, or folders of them.
    out
        Folder for the results.
    """
    from bytemlperf.errors import ConfigError
    from bytemlperf.report.formats.importing import folder_name, import_path
    from bytemlperf.report.storage import OutFolder, make_folder, write_json_atomic

    folder = OutFolder(out)
    targets = {}
    for result in [result for file in files for result in import_path(file)]:
        place = folder.task(folder_name(result.hardware_type), folder_name(result.task))
        if place.result in targets:
            raise ConfigError(
                f"two of the files are of {result.task} on {result.hardware_type}",
                hint="import them with different --out folders",
            )
        targets[place.result] = result
    for path, result in targets.items():
        make_folder(path.absolute().parent)
        write_json_atomic(path, result)
        print(path)
    return 0
