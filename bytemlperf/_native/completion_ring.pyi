from typing import Final, Self, final

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
    def __new__(cls, capacity: int) -> Self: ...
