"""Choosing a device and its numbers."""

from __future__ import annotations

import pytest
import torch

import unitower
from unitower.encode import devices
from unitower.encode.devices import chosen_device, chosen_dtype, memory_is_full

CPU = torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "cpu:x", "meta", "", 3.5])
def test_unknown_devices_are_refused_by_name(device: object) -> None:
    with pytest.raises(ValueError, match=f"device '?{device}'?.*'cpu'"):
        unitower.load("nano", device=device)  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there_is_refused_and_none_is_what_is_there() -> None:
    for device in ("cuda", "cuda:1", torch.device("cuda")):
        with pytest.raises(ValueError, match="not available here: there is cpu"):
            chosen_device(device)
    assert chosen_device(None) == CPU


def test_a_device_may_be_named_or_given() -> None:
    assert chosen_device("cpu") == chosen_device(CPU) == CPU


@pytest.mark.parametrize("dtype", ["float16", "int8", "double", "auto", torch.float16])
def test_unknown_dtypes_are_refused(dtype: object) -> None:
    with pytest.raises(ValueError, match="'float32' or 'bfloat16'"):
        unitower.load("nano", dtype=dtype)  # type: ignore[arg-type]


def test_dtypes_may_be_named_or_given() -> None:
    assert chosen_dtype("float32", CPU) == chosen_dtype(torch.float32, CPU) == torch.float32
    assert chosen_dtype("bfloat16", CPU) == torch.bfloat16


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_is_chosen_where_it_is_native(monkeypatch: pytest.MonkeyPatch, native: bool, expected: torch.dtype) -> None:
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, probe, lambda: native, raising=False)
    assert chosen_dtype(None, CPU) == expected
    assert chosen_dtype(None, torch.device("mps")) == torch.float32


def test_a_torch_that_cannot_tell_means_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, probe, raising=False)
    assert not devices.multiplies_bfloat16(CPU)


def test_full_memory_is_told_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 45)  # what this torch itself says
    assert memory_is_full(caught.value)
    assert memory_is_full(torch.OutOfMemoryError("CUDA out of memory."))
    assert memory_is_full(MemoryError())
    assert memory_is_full(RuntimeError("could not create a primitive"))
    assert not memory_is_full(RuntimeError("could not create a primitive descriptor for the inner product primitive"))
    assert not memory_is_full(RuntimeError("shapes cannot be multiplied"))
    assert not memory_is_full(ValueError("out of memory"))
