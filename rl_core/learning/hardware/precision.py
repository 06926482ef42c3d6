"""In which precision a network runs. Losses, log-probabilities and heads are always float32."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """What autocast uses on a device; float32 switches it off."""

    device_type: str
    dtype: torch.dtype = torch.float32

    def autocast(self) -> torch.autocast:
        """A context in which matrix products run in this precision."""
        return torch.autocast(
            self.device_type, dtype=self.dtype, enabled=self.dtype != torch.float32
        )

    @property
    def needs_scaling(self) -> bool:
        """Float16 underflows where a loss is not scaled up."""
        return self.dtype == torch.float16


def pick_precision(device: torch.device, *, amp: bool) -> Precision:
    """Float32, or with `amp` bfloat16 where the hardware has it and else float16."""
    if not amp:
        return Precision(device.type)
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return Precision(device.type, torch.float16)
    return Precision(device.type, torch.bfloat16)
