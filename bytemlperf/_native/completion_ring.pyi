from typing import Final, final

__all__ = ["CANCELLED", "FAILED", "FATAL", "OK", "CompletionRing", "Doorbell"]

OK: Final[int]
FAILED: Final[int]
CANCELLED: Final[int]
FATAL: Final[int]

@final
class Doorbell:
    """An eventfd that is written only while its reader is asleep."""

    fd: int
    def ring(self) -> None: ...
    def clear(self) -> None: ...

@final
class CompletionRing:
    """Carries finished batches from one predict thread to the loop thread."""

    capacity: int
    def __init__(self, capacity: int) -> None: ...
