"""The links that decide: prediction_validation, the gate, and deployed_model.

What they call is imported when they run: torch takes a second and should not hold up the UI.
"""

from datetime import timedelta

import dagster as dg

from pipeline.reporting import image, sealed_result
from pipeline.wiring import desk_asset
from rl_core.desk import DeskConfig
from rl_core.steps.context import Workplace

STALE_AFTER = timedelta(days=8)


def release_assets(desk: DeskConfig) -> list[dg.AssetsDefinition]:
    """The last two links of a desk."""

    def prediction_validation() -> dg.MaterializeResult:
        """The gate: what the policy shows on the untouched test span.

        Two tiers. The safety checks block what comes next: without them a version is not served.
        The skill checks warn: without them it is served as `shadow` and its vote weighs nothing.
        The report compares the policy with its teacher, with holding and with the champion, all
        costs paid.
        """
        from rl_core.steps.prediction_validation.step import build_prediction_validation

        work = Workplace.open(desk.name)
        artifact = build_prediction_validation(work)
        folder = work.lake.path(artifact.name, "")
        plots = {path.stem: image(path) for path in sorted(folder.glob("*.png"))}
        report = dg.MetadataValue.md((folder / "report.md").read_text())
        return sealed_result(artifact, {"report": report, **plots})

    def deployed_model() -> dg.MaterializeResult:
        """A version in the model store, served as `shadow`, and as `champion` if it showed skill.

        Verifies the gate's report and the hashes of the whole lineage itself, so that it cannot be
        reached around the gate. Stale if no retrain succeeded for eight days.
        """
        from rl_core.steps.deployed_model.card import in_order, with_pictures
        from rl_core.steps.deployed_model.step import deploy

        version = deploy(Workplace.open(desk.name))
        manifest = version.manifest
        plots = in_order(version.directory.glob("*.png"))
        card = with_pictures((version.directory / "model_card.md").read_text(), plots)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(manifest.files["policy.safetensors"]),
            metadata={
                "version": manifest.version,
                "stage": manifest.stage,
                "bars": manifest.data.bars,
                "last_bar": manifest.data.last_bar,
                "test_total_return": manifest.metrics["test"]["policy"]["total_return"],
                "path": dg.MetadataValue.path(str(version.directory)),
                "model_card": dg.MetadataValue.md(card),
            },
        )

    return [
        desk_asset(
            desk,
            prediction_validation,
            kinds={"pytorch"},
            deps=["bars", "offline_dataset", "ppo_policy"],
        ),
        desk_asset(
            desk,
            deployed_model,
            kinds={"safetensors"},
            deps=["prediction_validation"],
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=STALE_AFTER),
        ),
    ]
