"""The buffer pool in plain Python: slow, single-threaded, obviously right."""

from __future__ import annotations


class PoolTwin:
    """What `BufferPool` must do, with a bytearray for each slot."""

    def __init__(self, slot_count: int, slot_bytes: int) -> None:
        self.slot_bytes = -(-slot_bytes // 64) * 64
        self.memory = [bytearray(self.slot_bytes) for _ in range(slot_count)]
        self.free = set(range(slot_count))
        self.views: dict[int, int] = dict.fromkeys(range(slot_count), 0)
        self.acquired_count = 0
        self.released_count = 0

    def acquire(self, slot: int) -> None:
        """Note that this slot was handed out."""
        assert slot in self.free
        self.free.remove(slot)
        self.acquired_count += 1

    def release(self, slot: int) -> bool:
        """Give a slot back, if it may be."""
        if slot in self.free or self.views[slot]:
            return False
        self.free.add(slot)
        self.released_count += 1
        return True

    def write(self, slot: int, data: bytes, offset: int) -> bool:
        """Copy bytes in, if they fit."""
        if slot in self.free or offset + len(data) > self.slot_bytes:
            return False
        self.memory[slot][offset : offset + len(data)] = data
        return True
