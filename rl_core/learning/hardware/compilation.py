"""Compile a pure function of tensors, where that was asked for."""

import shutil
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch._functorch import config as functorch

from rl_core.base.errors import TollgateError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def compiled(
    function: Callable[Arguments, Result], device: torch.device, *, enabled: bool
) -> Callable[Arguments, Result]:
    """The same function, fused by torch.compile, or unchanged.

    Raises:
        TollgateError: on a CPU, when there is no C++ compiler.
    """
    if not enabled:
        return function
    if device.type == "cpu" and not shutil.which("g++"):
        raise TollgateError("--compile must find a C++ compiler, was none: install g++")
    # A mask that is needed again is cheaper to compute twice than to store: without this a ReLU in
    # low precision before a float32 layer made the backward pass of the update three times slower.
    functorch.ban_recompute_materialized_backward = False
    return torch.compile(function, dynamic=False)
