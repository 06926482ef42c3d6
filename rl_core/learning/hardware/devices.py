"""Which device to compute on."""

import os

import torch

from rl_core.base.errors import TollgateError


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA if there is one, of this process's rank.

    Raises:
        TollgateError: there is no such device.
    """
    rank = os.environ.get("LOCAL_RANK", "0")
    is_gpu = name == "cuda" or (name == "auto" and torch.cuda.is_available())
    wanted = f"cuda:{rank}" if is_gpu else "cpu" if name == "auto" else name
    try:
        return torch.zeros(1, device=wanted).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise TollgateError(
            f"--device must be a device of this machine, was {name}: {reason}"
        ) from None
