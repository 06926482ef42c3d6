"""How much memory there is, and how a process keeps what it has."""

import ctypes
import sys

import psutil
import torch

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_LARGEST_MMAP_THRESHOLD = 32 * 2**20  # glibc takes no more
SAFE_SHARE = 0.8  # of what is free: allocators fragment, and other processes live too


def memory_limit(device: torch.device, max_gpu_gb: tuple[float, float]) -> int:
    """Bytes that a training may use: of what is free, on a GPU no more than its cap.

    Args:
        device: of the training.
        max_gpu_gb: caps of the first GPU and of each other one, 1e9 bytes.
    """
    if device.type != "cuda":
        return int(psutil.virtual_memory().available * SAFE_SHARE)
    free, _ = torch.cuda.mem_get_info(device)
    cap = max_gpu_gb[0] if (device.index or 0) == 0 else max_gpu_gb[1]
    return int(min(free * SAFE_SHARE, cap * 1e9))


def memory_in_use(device: torch.device) -> int:
    """Bytes that the process holds: on a GPU what the allocator reserved, not what is live."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    return psutil.Process().memory_info().rss


def keep_freed_memory() -> None:
    """Ask glibc to hand freed blocks out again and not to give them back to the kernel.

    A minibatch's tensors are freed and wanted again many times a second; each time the kernel would
    clear the pages anew, which costs more than the arithmetic on them.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_TOP_PAD, 64 * 2**20)
