"""Where the tower runs and in which numbers, and how a machine says that its memory is full."""

from __future__ import annotations

import torch

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def chosen_device(device: str | torch.device | None) -> torch.device:
    """The device asked for; for None the first CUDA device, else the CPU. (Apple's "mps" is used where it is asked for.)

    ValueError where the name is none, or the machine has no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device {device!r} is unknown: give 'cpu', 'cuda', 'cuda:1' or 'mps'.") from error
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if chosen.type not in present:
        raise ValueError(f"device {str(device)!r} is not supported: give 'cpu', 'cuda', 'cuda:1' or 'mps'.")
    if not present[chosen.type]:
        raise ValueError(f"device {str(device)!r} is not available here: there is {', '.join(k for k, v in present.items() if v)}.")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {str(device)!r} is not available here: there are {torch.cuda.device_count()} CUDA devices.")
    return chosen


def chosen_dtype(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    """The numbers asked for; for None bfloat16 where the device multiplies it natively, else float32. ValueError names the two."""
    if dtype is None:
        return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ValueError(f"dtype {name!r} is unknown: give {' or '.join(map(repr, DTYPES))}, or None for what suits the device.")
    return DTYPES[name]


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products run in hardware: CUDA from Ampere on, CPUs with AVX512-BF16 or AMX. Emulated they are slow."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # absent on other architectures' builds
        return any(getattr(torch.cpu, probe, bool)() for probe in probes)
    return False


def memory_is_full(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on the device or on the machine."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    words = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "alloc_failed")
    said = str(error).lower()
    # oneDNN, beneath bfloat16 and float32 products on a CPU, says no more than the last when it gets no memory.
    return isinstance(error, RuntimeError) and (any(word in said for word in words) or said == "could not create a primitive")


def release_memory(device: torch.device) -> None:
    """Give back what the allocator keeps for later, after a pass that did not fit."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
