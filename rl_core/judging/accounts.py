"""The accounts that stand beside each other on the test span, and what people call them."""

POLICY, TEACHER, CHAMPION = "policy", "teacher", "champion"

# whom a policy must beat besides its teacher; the best single regime is not among them, since it
# was picked afterwards
BENCHMARKS = ("buy_and_hold", "equal_weight")

TITLES = {
    POLICY: "this policy",
    TEACHER: "ensemble (teacher)",
    "buy_and_hold": "buy and hold",
    "equal_weight": "equal weight",
    "best_single_regime": "best single regime",
    CHAMPION: "champion so far",
}
