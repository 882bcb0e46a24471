"""Build backend: setuptools, plus the shared library of plain C that reads and cuts pictures (shards/native/*.c).

A machine without a C compiler gets one from PyPI for the time of the build: the ``ziglang`` wheel brings clang.
The library has no Python API and is loaded with ctypes, so one build serves every Python version.
"""

import os
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

from setuptools import Extension, build_meta
from setuptools.build_meta import (  # the hooks of PEP 517 and PEP 660 that need nothing of ours
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)
from setuptools.command.build_ext import build_ext

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

# Notices of setuptools on which nobody can act: extensions named in pyproject.toml are new, folders of data are meant
# to be data, and an editable installation is what was asked for.
for notice in (".*ext-modules.*experimental", "(?s).*absent from the `packages` configuration", "Editable install"):
    warnings.filterwarnings("ignore", message=notice)

SOURCES = Path("shards/native")
COMPILER_WHEEL = "ziglang==0.17.1"
# No contraction to fused multiply-add: the pixels must be the same on every processor.
FLAGS = "-std=c11 -O3 -fPIC -shared -fvisibility=hidden -ffp-contract=off -Wall -Wextra".split()


def get_requires_for_build_wheel(config_settings: dict | None = None) -> list[str]:
    """Return what building a wheel needs from PyPI."""
    return build_meta.get_requires_for_build_wheel(config_settings) + _compiler_requirement()


def get_requires_for_build_editable(config_settings: dict | None = None) -> list[str]:
    """Return what an editable installation needs from PyPI."""
    return build_meta.get_requires_for_build_editable(config_settings) + _compiler_requirement()


def _compiler_requirement() -> list[str]:
    return [] if system_compiler() else [COMPILER_WHEEL]


def system_compiler() -> list[str]:
    """Return the machine's C compiler as a command: ``CC``, else cc, gcc or clang; empty when there is none."""
    for command in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        words = shlex.split(command)
        if words and shutil.which(words[0]):
            return words
    return []


def compiler() -> list[str]:
    """Return the compiler to use; zig's would otherwise compile for this very processor."""
    return system_compiler() or [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]


class BuildNative(build_ext):
    """Compiles every C file of ``shards/native`` into one shared library beside the Python modules."""

    def get_ext_filename(self, fullname: str) -> str:
        """Return the library's name without the tag of a Python version."""
        return str(Path(*fullname.split("."))) + (".dll" if os.name == "nt" else ".so")

    def build_extension(self, ext: Extension) -> None:
        """Compile and link in one call."""
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f"{target.name}.new")
        sources = sorted(map(str, SOURCES.glob("*.c")))
        subprocess.run([*compiler(), *FLAGS, "-o", str(fresh), *sources, "-lm"], check=True)
        fresh.replace(target)  # a process that has the old library open keeps it

    def get_source_files(self) -> list[str]:
        """Return what belongs in a source distribution."""
        return sorted(map(str, SOURCES.glob("*.[ch]")))
