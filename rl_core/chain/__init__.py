"""The chain, one module a link: each reads verified artefacts and seals a new one.

    bars -> backtest_history -> offline_dataset -> regime_dataset -> bc_policy -> ppo_policy
         -> prediction_validation -> deployed_model

Dagster's assets and the commands call the same functions, so what runs there can be run here.
"""

CHAIN = (
    "bars",
    "backtest_history",
    "offline_dataset",
    "regime_dataset",
    "bc_policy",
    "ppo_policy",
    "prediction_validation",
    "deployed_model",
)
