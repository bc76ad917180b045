"""The systems under test: one folder a hardware type, reached only through here.

Input: a hardware type's name. Output: its description, or an instance of its class.
"""

from bytemlperf.backends.base import Backend, Feeds
from bytemlperf.backends.compile_result import (
    CompiledModel,
    CompileResult,
    Segment,
    parse_compile_result,
)

__all__ = [
    "Backend",
    "CompileResult",
    "CompiledModel",
    "Feeds",
    "Segment",
    "parse_compile_result",
]
