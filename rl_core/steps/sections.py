"""Sections of a desk's settings that several steps read; a desk may lack some of them."""

# what a bar is, what is known at its close, and what trading costs there
MARKET = (
    "kind", "bars", "quality", "sentiment", "regimes", "splits", "costs", "contract", "allocations",
)  # fmt: skip
# limits in those sections by which checks judge, and which change nothing that is built
LIMITS = (
    "quality.max_missing_share", "quality.min_mean_health", "quality.max_stale_share",
    "quality.max_bars_late", "quality.severity", "bars.revisions",
)  # fmt: skip
# the account that trades, and its rules
ACCOUNT = ("account", "brackets", "rules")
