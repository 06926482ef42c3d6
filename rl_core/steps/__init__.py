"""The chain, one module a link: each reads verified artefacts and seals a new one.

    bars -> backtest_history -> offline_dataset -> regime_dataset -> bc_policy -> ppo_policy
         -> prediction_validation -> deployed_model

Dagster's assets and the commands call the same functions, so what runs there can be run here. A
module has `build_<link>` and `run_checks`; the names of its checks stand here, so that they can be
known without loading torch.
"""

from collections.abc import Mapping

from rl_core.judging.settings import SAFETY_CHECKS, SKILL_CHECKS
from rl_core.offline.validation import CHECK_NAMES as DATASET_CHECKS

CHAIN: Mapping[str, Mapping[str, bool]] = {  # link -> its checks -> does it block what comes next?
    "bars": {
        "few_bars_are_missing": False,
        "bars_are_healthy": False,
        "prices_have_one_unit": True,
        "the_feed_never_died": False,
        "rolls_are_plausible": True,
        "prices_are_adjusted": True,
        "universe_is_not_of_survivors": False,
    },
    "backtest_history": {"equity_is_cash_and_holdings": True},
    "offline_dataset": DATASET_CHECKS,
    "regime_dataset": {"only_training_rows_were_filtered": True},
    "bc_policy": {"clone_beats_the_majority_class": False, "clone_did_not_learn_by_heart": False},
    "ppo_policy": {
        "no_update_was_skipped": False,
        "critic_explains_the_returns": False,
        "ppo_improved_on_the_clone": False,
        "entropy_stayed_up": False,
        "mean_return_trends_up": False,
        "accounts_traded": False,
        "metrics_are_complete": False,
    },
    "prediction_validation": {
        **dict.fromkeys(SAFETY_CHECKS, True),
        **dict.fromkeys(SKILL_CHECKS, False),  # without skill a version is served as shadow
    },
    "deployed_model": {"served_model_is_intact": True},
}

# what stands beside the chain: no link waits for it
BESIDE: Mapping[str, Mapping[str, bool]] = {
    "walk_forward": {"folds_do_not_overlap": True, "intervals_hold_what_they_promise": False},
}
