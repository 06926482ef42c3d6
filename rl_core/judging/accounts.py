"""The accounts that stand beside each other on the test span, and what people call them."""

POLICY, TEACHER, CHAMPION = "policy", "teacher", "champion"

# whom a policy must beat besides its teacher; the best single regime is not among them, since it
# was picked afterwards
BENCHMARKS = ("buy_and_hold", "equal_weight")

# models as simple as can be, on what the policy sees, and its own forecasts by their rule
OWN_FORECASTS = "own_forecasts"
CONTENDERS = ("ridge", "trees", OWN_FORECASTS)

TITLES = {
    POLICY: "this policy",
    TEACHER: "ensemble (teacher)",
    "buy_and_hold": "buy and hold",
    "equal_weight": "equal weight",
    "best_single_regime": "best single regime",
    CHAMPION: "champion so far",
    "ridge": "ridge on the features",
    "trees": "boosted trees on the features",
    OWN_FORECASTS: "its own forecasts by a threshold",
}
