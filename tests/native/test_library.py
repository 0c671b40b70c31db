"""Finding and loading the library, and what is said where there is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pacbench import UnavailableError, dispatch, functional
from pacbench.backends.native import NativeBackend, build, library
from pacbench.calls import Call
from pacbench.geometry import Window

pytestmark = pytest.mark.usefixtures("fresh_library")


def _reason() -> str:
    (reason,) = NativeBackend().unavailable_reasons()
    return str(reason)


def test_a_library_that_is_not_built_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "HERE", tmp_path)
    assert _reason() == (
        "the library is not built; to mend it: python -m pacbench.backends.native.build "
        "(needs a C++ compiler, such as the package g++)"
    )
    library._loaded.clear()
    (tmp_path / build.NOT_BUILT).write_text("build: no C++ compiler found (g++)\n")
    assert _reason().startswith("the library is not built: build: no C++ compiler found (g++); to mend it: python -m")
    with pytest.raises(UnavailableError, match=r"backend native was asked for but cannot run here: the library is not"):
        functional.packernel2d(torch.ones(1, 1, 5, 5), kernel_size=3, backend=NativeBackend())


def test_without_it_the_next_backend_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "HERE", tmp_path)
    dispatch.forget()
    call = Call("packernel2d", {"guide": torch.ones(1, 1, 5, 5), "mask": None}, Window((3, 3)))
    try:
        assert dispatch.select(call).name == "unfold"
    finally:
        dispatch.forget()


@pytest.mark.usefixtures("needs_library")
def test_it_is_the_default_on_cpus() -> None:
    call = Call("packernel2d", {"guide": torch.ones(1, 1, 5, 5), "mask": None}, Window((3, 3)))
    assert dispatch.select(call).name == "native"


def test_a_named_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.LIBRARY_VARIABLE, "/nowhere/lib.so")
    assert (
        _reason() == "PACBENCH_NATIVE_LIBRARY: got /nowhere/lib.so, which is no file; to mend it: correct or unset it"
    )


def test_a_file_that_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "text.so"
    path.write_text("text")
    monkeypatch.setenv(library.LIBRARY_VARIABLE, str(path))
    assert re.match(rf"{re.escape(str(path))} does not load: .*; to mend it: build it for this machine by", _reason())


@pytest.mark.usefixtures("needs_library")
def test_a_library_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    class LongerCall(library.PacCall):
        _fields_ = (("more", library.ctypes.c_int64),)

    monkeypatch.setattr(library, "PacCall", LongerCall)
    library._loaded.clear()
    monkeypatch.setattr(library, "_current", None)
    assert re.search(r"lacks LongerCall of \d+ bytes: its own has \d+; to mend it: build it again by", _reason())


def test_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.LIBRARY_VARIABLE, str(torch._C.__file__))
    assert re.search(r"lacks .*undefined symbol: pacbench_native_best_isa; to mend it: build it again by", _reason())


@pytest.mark.usefixtures("needs_library")
def test_an_unknown_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.ISA_VARIABLE, "sse9")
    monkeypatch.setattr(library, "_current", None)
    assert _reason() == (
        "PACBENCH_NATIVE_ISA: got 'sse9', expected one of portable, avx2, avx512; to mend it: correct or unset it"
    )


@pytest.mark.usefixtures("needs_library")
def test_an_instruction_set_that_the_processor_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = library._opened(library.load().path)
    monkeypatch.setattr(handle, "pacbench_native_best_isa", lambda: 0)
    monkeypatch.setattr(library, "_opened", lambda path: handle)
    monkeypatch.setattr(library, "_current", None)
    monkeypatch.setenv(library.ISA_VARIABLE, "avx512")
    assert _reason() == (
        "PACBENCH_NATIVE_ISA: got 'avx512', but this processor runs portable at best; to mend it: set it to portable"
    )


@pytest.mark.usefixtures("needs_library")
def test_a_function_that_is_missing_is_named() -> None:
    handle = library._opened(library.load().path)
    with pytest.raises(AttributeError, match="pacbench_native_forward_float32_mmx"):
        library.Library(Path("lib.so"), handle, "mmx")


@pytest.mark.usefixtures("needs_library")
def test_a_message_of_the_kernels_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(call: object, message: object, size: int) -> int:
        message.value = b"no memory for a workspace"  # type: ignore[attr-defined]
        return 1

    loaded = library.load()
    monkeypatch.setitem(loaded._functions, ("kernel_forward", torch.float32), out_of_memory)
    with pytest.raises(RuntimeError, match="backend native: no memory for a workspace"):
        functional.packernel2d(torch.ones(1, 1, 5, 5), kernel_size=3, backend=NativeBackend())


@pytest.mark.usefixtures("needs_library")
def test_the_variables_choose(run_script: Callable[..., str]) -> None:
    source = "from pacbench.backends.native import library; print(library.current().isa, library.current().path)"
    path = str(library.load().path)
    said = run_script(source, PACBENCH_NATIVE_ISA="portable", PACBENCH_NATIVE_LIBRARY=path)
    assert said.split() == ["portable", path]


@pytest.mark.usefixtures("needs_library")
def test_one_openmp_runtime(run_script: Callable[..., str]) -> None:
    """The library brings none: torch's is the only one in the process."""
    if not Path("/proc/self/maps").exists():
        pytest.skip("this system does not list the libraries of a process")
    said = run_script(
        """
        import torch
        from pathlib import Path
        from pacbench.backends.native import library
        before = {line.split()[-1] for line in open("/proc/self/maps") if "omp" in Path(line.split()[-1]).name}
        library.current()
        after = {line.split()[-1] for line in open("/proc/self/maps") if "omp" in Path(line.split()[-1]).name}
        print(len(before), after == before)
        """
    )
    assert said.split() == ["1", "True"]
