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
from bytemlperf.backends.loading import create_backend, load_backend_class
from bytemlperf.backends.model_info import TensorInfo, tensor_infos
from bytemlperf.backends.registry import BackendInfo, find_backend, list_backends

__all__ = [
    "Backend",
    "BackendInfo",
    "CompileResult",
    "CompiledModel",
    "Feeds",
    "Segment",
    "TensorInfo",
    "create_backend",
    "find_backend",
    "list_backends",
    "load_backend_class",
    "parse_compile_result",
    "tensor_infos",
]
