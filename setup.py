"""The extension modules and their flags; everything else about the package stands in pyproject.toml.

Diagnostics are chosen by the environment, and each choice builds in a folder of its own under build/:

    MICROGPT_ANNOTATE=1                    HTML beside the generated C, which is not compiled: which lines call Python
    MICROGPT_DEBUG=1                       checks of bounds and None, C assertions, no optimisation
    MICROGPT_SANITIZE=address,undefined    the sanitizers of gcc and clang
    MICROGPT_WERROR=1                      warnings of the C compiler are errors
"""

import os
import sys
import sysconfig
from glob import glob

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

PACKAGE = "src/microgpt"
# The C sources linked into each module: a family of kernels has a file for each instruction set. Modules are compiled
# side by side, the one that takes longest first.
KERNELS = {
    "_fused": ["fused_*", "adam*", "workspace", "team"],
    "_recorded": ["replay_*"],
    "_engine": ["rows_*"],
    "_functional": [],
    "_adam": ["adam*"],
}
# reference.py as it is, through Cython: the rung that shows what compiling alone buys. Its annotations are for readers
# and type checkers; taken at their word they would make C doubles of what the script keeps as ints.
UNTYPED = "_compiled"
UNTYPED_DIRECTIVES = {"annotation_typing": False, "binding": True}
# Cython 3.3 answers -0.0 + 0 with -0.0 and 0.0 * -1 with 0.0: where a float meets an int, its shortcuts for zeros
# forget the sign. As macros, those four functions of the C code it generates are Python's own operators again.
UNTYPED_MACROS = [
    macro
    for name in ("Add", "Multiply")
    for first in ("xfloat", "xint")
    for macro in (
        (f"__Pyx_DEFINED_PyNumber_{name}_{first}_object", "1"),
        (
            f"__Pyx_PyNumber_{name}_{first}_object(a, b, in_place)",
            f"((in_place) ? PyNumber_InPlace{name}(a, b) : PyNumber_{name}(a, b))",
        ),
    )
]
HEADERS = [path for kind in ("pxd", "pxi", "h") for path in glob(f"{PACKAGE}/**/*.{kind}", recursive=True)]

ANNOTATE = os.environ.get("MICROGPT_ANNOTATE") == "1"
DEBUG = os.environ.get("MICROGPT_DEBUG") == "1"
WERROR = os.environ.get("MICROGPT_WERROR") == "1"
SANITIZE = os.environ.get("MICROGPT_SANITIZE", "")

# The promise is the bits of the interpreted script: no fused multiply-add that was not asked for, and pow is always
# libm's (compilers turn pow(x, 2.0) into x * x, which differs in 0.08 % of inputs). Never -march=native: a wheel must
# run on the next machine too, and the kernels choose their instruction set at import.
# Nobody reads errno or floating-point traps here; without the two, loops with sqrt and comparisons become SIMD code.
POSIX_FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-builtin-pow", "-fno-math-errno", "-fno-trapping-math"]
MSVC_FLAGS = ["/std:c11", "/O2", "/fp:precise"]

WARNINGS = ["-Wall", "-Wextra", "-Werror"]
# Cython's own output has unused parameters and casts between function types by design, and gcc cannot follow its
# struct results.
WARNINGS += ["-Wno-unused-parameter", "-Wno-cast-function-type", "-Wno-maybe-uninitialized"]


class BuildExt(build_ext):
    """Adds the flags, once it is known which compiler gets them."""

    def build_extensions(self) -> None:
        for extension in self.extensions:  # one after the other: Cython keeps state of its own
            self.translate(extension)
        if ANNOTATE:
            return
        msvc = self.compiler.compiler_type == "msvc"
        for extension in self.extensions:
            extension.extra_compile_args = MSVC_FLAGS if msvc else posix_compile_flags()
            if extension.name == "microgpt._fused" and not msvc:  # tells with what it was compiled
                extension.define_macros = [("MICROGPT_FLAGS", f'"{" ".join(posix_compile_flags())}"')]
            extension.extra_link_args = [] if msvc else posix_link_flags()
        super().build_extensions()

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or cores()
        Options.annotate = ANNOTATE

    def translate(self, extension: Extension) -> None:
        """From Cython to C, in the build folder: no generated file between the sources."""
        checks = {"boundscheck": True, "wraparound": True, "nonecheck": True} if DEBUG else {}
        directives = {**checks, **getattr(extension, "cython_directives", {})}
        (translated,) = cythonize(
            extension,
            build_dir=self.build_temp,
            include_path=extension.include_dirs,
            compiler_directives=directives,
            force=self.force,
            quiet=True,
        )
        extension.sources = translated.sources


def missing_headers() -> str:
    """What to do where Python's headers are not installed, or nothing. (The compiler takes forty lines.)"""
    folders = [sysconfig.get_path(name) for name in ("include", "platinclude")]
    folders += [folder for name in ("C_INCLUDE_PATH", "CPATH") for folder in os.environ.get(name, "").split(os.pathsep)]
    elsewhere = any("-I" in os.environ.get(name, "") for name in ("CFLAGS", "CPPFLAGS"))
    if elsewhere or any(os.path.isfile(os.path.join(folder, "Python.h")) for folder in folders if folder):
        return ""
    return (
        f"microgpt: Python's C headers are not installed ({folders[0]}/Python.h); install them "
        "(Debian: apt install python3-dev, Fedora: dnf install python3-devel), or use `make train`, which needs none"
    )


def cores() -> int:
    """As many as this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def posix_compile_flags() -> list[str]:
    flags = list(POSIX_FLAGS)
    if DEBUG:
        flags += ["-O0", "-g", "-UNDEBUG"]
    if SANITIZE:
        flags += ["-O1", "-g", "-fno-omit-frame-pointer", f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=all"]
    if WERROR:
        flags += WARNINGS
    return flags


def posix_link_flags() -> list[str]:
    return ["-lm", "-pthread", *([f"-fsanitize={SANITIZE}"] if SANITIZE else [])]


def build_folder() -> str:
    """One folder a choice of diagnostics: whether a module is up to date is judged by its sources, not by its flags."""
    chosen = ["annotate"] * ANNOTATE + ["debug"] * DEBUG + ["werror"] * WERROR + SANITIZE.split(",")
    return os.path.join("build", "-".join(filter(None, chosen)))


def untyped() -> Extension:
    extension = Extension(f"microgpt.{UNTYPED}", [f"{PACKAGE}/reference.py"], depends=["setup.py"])
    extension.define_macros = UNTYPED_MACROS
    extension.cython_directives = UNTYPED_DIRECTIVES
    return extension


def kernel_sources(patterns: list[str]) -> list[str]:
    return sorted(path for pattern in patterns for path in glob(f"{PACKAGE}/kernels/{pattern}.c"))


if {"bdist_wheel", "editable_wheel", "build", "build_ext"} & set(sys.argv) and (missing := missing_headers()):
    sys.exit(missing)

setup(
    ext_modules=[
        *(
            Extension(
                f"microgpt.{name}",
                [f"{PACKAGE}/{name}.pyx", *kernel_sources(kernels)],
                include_dirs=[PACKAGE],
                depends=[*HEADERS, "setup.py"],
            )
            for name, kernels in KERNELS.items()
        ),
        untyped(),
    ],
    cmdclass={"build_ext": BuildExt},
    options={"build": {"build_base": build_folder()}},
)
