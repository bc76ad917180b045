from typing import final

__all__ = ["RowTable"]

@final
class RowTable:
    """Fixed table of the rows in flight."""

    capacity: int
    input_count: int
    def __init__(self, capacity: int, *, input_count: int = 0) -> None: ...
    @property
    def in_flight_count(self) -> int: ...
