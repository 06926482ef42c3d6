"""How an artefact is built; what it holds is the desk's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rl_core.base.shutdown import StopRequest
from rl_core.learning.settings import Verbosity

if TYPE_CHECKING:
    import torch

    from rl_core.learning.hardware.distributed import Processes


@dataclass(frozen=True)
class BuildOptions:
    """How one artefact is built: device, processes, what to say and resume."""

    device_name: str = "auto"
    verbosity: Verbosity = Verbosity.NORMAL
    resume: bool = False
    checkpoint: Path | None = None
    allow_fresh: bool = False
    max_gpu_gb: tuple[float, float] = (45.0, 20.0)
    joined: Processes | None = None  # the processes that train together; None: this one alone
    stop: StopRequest = field(default_factory=StopRequest)  # one that nobody signals

    @property
    def device(self) -> torch.device:
        """The torch device to compute on."""
        from rl_core.learning.hardware.devices import pick_device

        return pick_device(self.device_name)

    @property
    def processes(self) -> Processes:
        """The processes that train together, one without torchrun."""
        from rl_core.learning.hardware.distributed import ONE_PROCESS

        return self.joined or ONE_PROCESS
