from typing import Self, final

@final
class RowTable:
    """Fixed table of the rows in flight."""

    capacity: int
    input_count: int
    def __new__(cls, capacity: int, *, input_count: int = 0) -> Self: ...
    @property
    def in_flight_count(self) -> int: ...
