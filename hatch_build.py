"""Compiles the package's C when it is built, if there is a C compiler; without one the package is pure Python and slower.

`pip install .` puts the library into the wheel, which is then one for this platform. `pip install -e .` puts it beside its source.
`python hatch_build.py` does the latter by itself, for a checkout that is used by PYTHONPATH. CC names another compiler; CC="" none.
The library has no ties to a Python or numpy version: it is loaded by ctypes.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCE = Path("src/unitower/kernels/maxsim.c")
SOURCES = (SOURCE, Path("src/unitower/model/passes.c"))

FLAGS = ["-O3", "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math"]
"""No -march: the files choose their path at run time, so that a wheel runs on any processor of its kind."""


def compiler() -> list[str]:
    """The command of a C compiler, [] where there is none."""
    if "CC" in os.environ:
        command = shlex.split(os.environ["CC"])
        return command if command and shutil.which(command[0]) else []
    return next(([found] for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), [])


def library_of(source: Path) -> Path:
    """`_maxsim.so` beside maxsim.c."""
    return source.with_name(f"_{source.stem}.so")


def compiled(target: Path, *, source: Path = HERE / SOURCE) -> bool:
    """Compile a source into a file. False where that is not possible: that is no error, unitower works without."""
    command = compiler()
    if not command or sys.platform == "win32":
        return False
    made = target.with_suffix(".new")
    try:
        done = subprocess.run([*command, *FLAGS, "-o", str(made), str(source), "-lm"], capture_output=True, check=False, timeout=300)
    except (OSError, subprocess.TimeoutExpired):
        return False
    if done.returncode:
        made.unlink(missing_ok=True)
        return False
    made.replace(target)
    return True


def platform_tag() -> str:
    """`linux_x86_64` and its like: the tag of a wheel that any Python 3 of this platform can use."""
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand
    BuildHookInterface = object


class CompiledKernels(BuildHookInterface):  # type: ignore[misc, valid-type, unused-ignore]
    """What hatchling calls for every wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        if version == "editable":
            for source in SOURCES:
                compiled(Path(self.root) / library_of(source), source=Path(self.root) / source)
            return
        self._folder = tempfile.TemporaryDirectory()
        for source in SOURCES:
            library = Path(self._folder.name) / library_of(source).name
            if compiled(library, source=Path(self.root) / source):
                build_data["force_include"][str(library)] = str(library_of(source).relative_to("src"))
                build_data["pure_python"] = False
                build_data["tag"] = f"py3-none-{platform_tag()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()


if __name__ == "__main__":
    made = [compiled(HERE / library_of(source), source=HERE / source) for source in SOURCES]
    print("compiled" if all(made) else "no C compiler: unitower runs on numpy and torch alone")
