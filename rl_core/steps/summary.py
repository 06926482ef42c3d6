"""What a desk's chain has come to: the table at the end of `make demo`."""

from typing import Any

from rl_core.steps.context import DeskContext
from rl_core.steps.prediction_validation.step import GATE, read_report


def summarise_chain(context: DeskContext) -> dict[str, Any]:
    """Figures of every step, from its verified artefact.

    Raises:
        TollgateError: a step was not built, or was changed since.
    """
    opened = {step.name: context.open_artifact(step) for step in GATE.ancestors}
    gate = context.open_artifact(GATE)
    version = context.models.served("shadow")
    lineage = context.artifacts.lineage(gate.artifact)
    return {
        "desk": context.desk.name,
        "market": context.desk.bars.market_name,
        **{
            name: {**each.facts.model_dump(mode="json"), **each.seal.timings}
            for name, each in opened.items()
        },
        "gate": read_report(gate).model_dump(mode="json"),
        "model": {
            "version": version.manifest.version,
            "stage": version.manifest.stage,
            "directory": str(version.directory),
            "is_of_this_chain": all(
                version.manifest.lineage[name].identity == artifact.identity
                for name, artifact in lineage.items()
            ),
        },
    }
