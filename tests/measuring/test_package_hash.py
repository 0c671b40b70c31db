"""Digests: they change when code or data change, and only then."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pacbench.measuring.package_hash import backend_hash, data_hash, package_hash, sources_hash


def test_the_package_has_one_hash():
    assert package_hash() == package_hash.__wrapped__()
    assert len(package_hash()) == 64


def test_a_folder_changes_with_its_sources_only(tmp_path: Path):
    (tmp_path / "one.py").write_text("one")
    before = sources_hash(tmp_path)
    (tmp_path / "library.so").write_bytes(b"1")
    assert sources_hash(tmp_path) == before
    (tmp_path / "one.py").write_text("two")
    assert sources_hash(tmp_path) != before


def test_folders_change_with_their_sources_and_their_order(tmp_path: Path):
    kernels, gate = tmp_path / "kernels", tmp_path / "gate"
    for folder in (kernels, gate):
        folder.mkdir()
        (folder / "one.py").write_text(folder.name)
    before = sources_hash(kernels, gate)
    assert sources_hash(gate, kernels) != before
    (gate / "one.py").write_text("changed")
    assert sources_hash(kernels, gate) != before


def test_a_backend_of_the_package_needs_no_hash_of_its_own():
    assert backend_hash("unfold") == "unfold"
    assert backend_hash("pacbench.backends.unfold:UnfoldBackend") == "pacbench.backends.unfold:UnfoldBackend"


@pytest.mark.parametrize("name", ["one_module.py", "a_package/deep/kernel.cpp", "a_package/weights.safetensors"])
def test_a_strangers_backend_changes_with_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent != tmp_path:
        (tmp_path / "a_package" / "__init__.py").touch()
    path.write_text("one")
    module = name.split("/")[0].removesuffix(".py")
    before = backend_hash(f"{module}:Backend")
    assert backend_hash(f"{module}:Backend") == before
    path.write_text("two")
    assert backend_hash(f"{module}:Backend") != before


def test_data_changes_with_its_listing(tmp_path: Path):
    (tmp_path / "image.png").write_bytes(b"1")
    before = data_hash(tmp_path)
    assert data_hash(tmp_path) == before
    (tmp_path / "mask.png").write_bytes(b"1")
    grown = data_hash(tmp_path)
    assert grown != before
    os.utime(tmp_path / "mask.png", ns=(1, 1))
    assert data_hash(tmp_path) != grown
