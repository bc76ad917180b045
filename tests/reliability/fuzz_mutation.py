"""Change JSON and MessagePack as a tree, so that damage comes past their parsers.

Bytes changed at random are hardly ever JSON any more, and then nothing behind the
parser is tried.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["BINARY", "TEXT", "change_tree", "changed_bytes"]

# Targets whose input is one JSON, or one MessagePack, value.
TEXT = frozenset(
    {
        "compile_result", "index", "merge", "model", "profile", "reports", "request",
        "result", "workload",
    }
)  # fmt: skip
BINARY = frozenset({"journal_record"})

WORDS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 1 << 31, 1 << 53, 1 << 63, (1 << 64) - 1, 1 << 80,
    0.0, -0.5, 1e-300, 1e308, float("inf"), float("nan"), "", "a", "../../x", "/etc/x",
    "\0", "\ud800", "x" * 300, "<script>", "1,2", [], {}, [[]], {"": None},
)  # fmt: skip
MAX_PLACES = 4


def change_tree(tree: Any, dice: random.Random) -> Any:
    """Change a few places of a tree.

    Parameters
    ----------
    tree : Any
        What a parser returned; changed in place where it can be.
    dice : Random
        Decides.

    Returns
    -------
    Any
        The changed tree.
    """
    # Mostly one: several at once are mostly refused for the worst of them.
    for _ in range(dice.choice((1, 1, 1, 2, MAX_PLACES))):
        places = _places(tree)
        if not places:
            return _word(dice)
        container, key = dice.choice(places)
        dice.choice(CHANGES)(container, key, places, dice)
    return tree


def _word(dice: random.Random) -> Any:
    """Return a word of its own: one list in two places could come to hold itself."""
    return copy.deepcopy(dice.choice(WORDS))


def _places(tree: Any) -> list[tuple[Any, Any]]:
    places: list[tuple[Any, Any]] = []
    stack = [tree]
    while stack:
        node = stack.pop()
        keys = list(node) if isinstance(node, dict) else []
        if isinstance(node, list):
            keys = list(range(len(node)))
        places += [(node, key) for key in keys]
        stack += [node[key] for key in keys]
    return places


def _replace(container: Any, key: Any, places: Any, dice: random.Random) -> None:
    container[key] = _word(dice)


def _remove(container: Any, key: Any, places: Any, dice: random.Random) -> None:
    del container[key]


def _copy(container: Any, key: Any, places: Any, dice: random.Random) -> None:
    """Put what stands elsewhere here, unless that would make a ring."""
    other, where = dice.choice(places)
    # An earlier change may have taken it away; a copy cannot hold itself.
    has = where in other if isinstance(other, dict) else where < len(other)
    if has:
        container[key] = json.loads(json.dumps(other[where], default=repr))


def _rename(container: Any, key: Any, places: Any, dice: random.Random) -> None:
    if isinstance(container, dict):
        container[dice.choice(["", "type", str(key) + "x"])] = container.pop(key)
    else:
        container.insert(key, _word(dice))


def _nudge(container: Any, key: Any, places: Any, dice: random.Random) -> None:
    value = container[key]
    if isinstance(value, str):
        cut = dice.randint(0, len(value))
        container[key] = value[:cut] + dice.choice(["", "0", ",", "%", "\n"]) + value
    elif isinstance(value, (int, float)):
        container[key] = value * dice.choice([-1, 2, 10, 0.5]) + dice.choice([-1, 0, 1])
    else:
        container[key] = [value, copy.deepcopy(value)]


CHANGES: tuple[Callable[[Any, Any, Any, random.Random], None], ...] = (
    _replace, _replace, _remove, _copy, _rename, _nudge,
)  # fmt: skip


def changed_bytes(name: str, data: bytes, dice: random.Random) -> bytes | None:
    """Change an input as the tree that it is.

    Parameters
    ----------
    name : str
        The target.
    data : bytes
        Its input.
    dice : Random
        Decides.

    Returns
    -------
    bytes or None
        None if this target's input, or this input, is no tree.
    """
    try:
        if name in TEXT:
            tree = change_tree(json.loads(data), dice)
            return json.dumps(tree).encode("utf-8", "surrogatepass")
        if name in BINARY:
            return msgspec.msgpack.encode(
                change_tree(msgspec.msgpack.decode(data), dice)
            )
    except (ValueError, RecursionError, OverflowError, msgspec.MsgspecError):
        return None
    return None
