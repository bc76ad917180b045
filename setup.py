"""The Cython extensions and their flags; everything else is in pyproject.toml."""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("BYTEMLPERF_DEBUG") == "1"
# Such as "address,undefined" or "thread": the run needs that runtime preloaded.
SANITIZE = os.environ.get("BYTEMLPERF_SANITIZE", "")
SANITIZE_FLAGS = (
    [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer"] if SANITIZE else []
)
NATIVE = Path("bytemlperf/_native")

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "auto_pickle": False,
    "embedsignature": True,
}

extensions = [
    Extension(
        f"bytemlperf._native.{source.stem}",
        [str(source)],
        define_macros=[("BYTEMLPERF_DEBUG", "1" if DEBUG else "0")],
        extra_compile_args=[*(["-O0", "-g"] if DEBUG else ["-O3"]), *SANITIZE_FLAGS],
        extra_link_args=["-pthread", *SANITIZE_FLAGS],
    )
    for source in sorted(NATIVE.glob("*.pyx"))
]

# Each build has a folder of its own: neither Cython nor setuptools notices that
# directives or flags changed, and both would take what another build has left.
KIND = "sanitized" if SANITIZE else "debug" if DEBUG else "release"
BUILD = Path("build") / KIND

setup(
    ext_modules=cythonize(
        extensions, compiler_directives=DIRECTIVES, build_dir=str(BUILD / "cython")
    ),
    options={"build": {"build_base": str(BUILD)}},
)
