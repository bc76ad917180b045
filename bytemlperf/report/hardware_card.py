"""Hardware cards: find them, and hold a point against one.

Input: a name, a file or the host's own card; a model's operations per sample. Output:
the share of the peak that was reached. Nothing here measures.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from bytemlperf.errors import MALFORMED, ConfigError, UnknownNameError
from bytemlperf.report.schema import HardwareCard, TaskResult

__all__ = ["Efficiency", "best_efficiency", "list_cards", "read_card"]

FOLDER = Path(__file__).parent / "hardware_cards"
# What a compile precision such as "int8_mix" or "FP32" computes in.
PRECISION = re.compile(r"fp64|fp32|tf32|fp16|bf16|fp8|int8|int4")


class Efficiency(msgspec.Struct, frozen=True):
    """What share of a device's peak a point reached.

    Parameters
    ----------
    share : float
        Model operations per second over the peak, >= 0.
    ops_per_s, peak_ops_per_s : float
        Both.
    precision : str
        Of the peak.
    batch_size : int
        Of the point.
    sku : str
        Of the card.
    is_verified : bool
        Whether the card's peaks were compared with what its vendor says.
    """

    share: float
    ops_per_s: float
    peak_ops_per_s: float
    precision: str
    batch_size: int
    sku: str
    is_verified: bool = True


def list_cards() -> list[str]:
    """Return the names of all cards that come with the package, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def read_card(name_or_path: str) -> HardwareCard:
    """Read a card.

    Parameters
    ----------
    name_or_path : str
        A name of `list_cards`, or a ``.json`` file.

    Returns
    -------
    HardwareCard
        Checked.

    Raises
    ------
    UnknownNameError
        No card has this name.
    ConfigError
        The file cannot be read or is malformed; the field is named.
    """
    names = list_cards()
    if name_or_path in names:
        path = FOLDER / f"{name_or_path}.json"
    elif name_or_path.endswith(".json") or "/" in name_or_path:
        path = Path(name_or_path)
    else:
        raise UnknownNameError("hardware_card", name_or_path, [*names, "host", "none"])
    try:
        card = msgspec.json.decode(path.read_bytes(), type=HardwareCard)
    except OSError as error:
        raise ConfigError(
            f"cannot read hardware card {path}: {error.strerror}"
        ) from error
    except MALFORMED as error:
        raise ConfigError(f"hardware card {path}: {error}") from error
    wrong = [key for key, ops in card.peak_ops_per_s.items() if not ops > 0]
    if wrong:
        raise ConfigError(
            f"hardware card {path}: peak_ops_per_s of {', '.join(wrong)}: expected > 0"
        )
    return card


def best_efficiency(result: TaskResult) -> Efficiency | None:
    """Hold the fastest valid point against the card in the provenance.

    ``share = throughput x operations per sample / peak of the precision as compiled``,
    with the operations of matrix products and convolutions alone.

    Parameters
    ----------
    result : TaskResult
        Measured.

    Returns
    -------
    Efficiency or None
        None where the card, its peak for this precision, the model's operations or a
        valid point is missing: nothing is guessed.
    """
    card = result.provenance.hardware_card if result.provenance else None
    ops = result.model.ops_per_sample if result.model else None
    valid = [point for point in result.points if not point.invalid_reasons]
    if card is None or not ops or not valid or result.compile is None:
        return None
    found = PRECISION.search(result.compile.precision.lower())
    if found is None or found[0] not in card.peak_ops_per_s:
        return None
    best = max(valid, key=lambda point: point.throughput_samples_per_s)
    rate = best.throughput_samples_per_s * ops
    peak = card.peak_ops_per_s[found[0]] * result.compile.device_count
    return Efficiency(
        share=rate / peak,
        ops_per_s=rate,
        peak_ops_per_s=peak,
        precision=found[0],
        batch_size=best.batch_size,
        sku=card.sku,
        is_verified=card.has_verified_peaks,
    )
