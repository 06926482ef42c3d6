"""The gate's report: both tiers, what they saw, and what follows from it."""

from pydantic import BaseModel, ConfigDict

from rl_core.base.checks import Check
from rl_core.judging.figures import PredictionMetrics, RegimeFigures, SkillReport
from rl_core.store.intervals import ReturnInterval
from rl_core.trading.performance import Performance


class ChampionComparison(BaseModel):
    """What a retrain changed against the version that is champion now."""

    model_config = ConfigDict(frozen=True)

    version: str
    last_bar: str  # of the champion's data
    is_same_policy: bool
    agreement: float | None  # share of test bars on which both decide alike; None: not comparable
    reason: str = ""  # why it is not comparable
    settings: list[str] = []  # that differ, dotted, with both values


class GateReport(BaseModel):
    """The verdict with all its figures."""

    model_config = ConfigDict(frozen=True)

    desk: str
    data: str = ""  # whose bars, and whether they are simulated
    policy: str  # content hash of the policy that was judged
    test_start: str
    test_end: str
    test_bars: int
    is_safe: bool  # every safety check that blocks passed: may be served as shadow
    is_skilled: bool = False  # and every skill check that blocks: may decide, as champion
    checks: list[Check]  # of the safety tier
    skill: SkillReport | None = None  # None in reports from before there was a skill tier
    predictions: dict[str, PredictionMetrics]  # by horizon; empty if the heads are untrained
    intervals: dict[str, ReturnInterval] = {}  # by horizon
    performance: dict[str, Performance]  # policy, teacher, benchmarks on the test span
    regimes: dict[str, RegimeFigures] = {}
    actions: dict[str, int]
    champion: ChampionComparison | None = None
    caveats: list[str] = []  # what a reader must know of the data

    @property
    def all_checks(self) -> list[Check]:
        """The checks of both tiers, safety first."""
        return [*self.checks, *([] if self.skill is None else self.skill.checks)]
