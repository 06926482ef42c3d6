"""What a walk forward found, as figures."""

from pydantic import BaseModel, ConfigDict

from rl_core.judging.figures import SeedSummary, SharpeFigures


class FoldFigures(BaseModel):
    """One fold with one seed; ratios are annual."""

    model_config = ConfigDict(frozen=True)

    fold: str
    seed: int
    train_start: str
    train_end: str
    test_start: str
    test_end: str
    train_rows: int
    test_bars: int
    sharpes: dict[str, SharpeFigures | None]  # account -> on this fold's test span
    coverage: dict[str, float]  # horizon -> of the interval, calibrated on the fold's validation
    known_targets: dict[str, int]  # horizon -> that the coverage is counted on
    overlapping_labels: int  # rows whose target reaches another split


class StitchedFigures(BaseModel):
    """One account through all folds, one after the other."""

    model_config = ConfigDict(frozen=True)

    total_return: float
    sharpe: float  # annual
    sharpe_low: float  # 95%, by bootstrap
    sharpe_high: float
    max_drawdown: float


class WalkForwardReport(BaseModel):
    """The verdict on the procedure: train, then trade what comes next, again and again."""

    model_config = ConfigDict(frozen=True)

    desk: str
    data: str
    scheme: str
    paths: int
    folds: list[FoldFigures]
    stitched: dict[str, StitchedFigures]  # account -> out of sample; policies by path and seed
    policy_sharpe: SeedSummary | None  # over seeds; None for fewer than three
    promised: float  # coverage of the intervals
    coverage: dict[str, float]  # horizon -> over all folds and seeds
    folds_of_other_code: int = 0  # made by an earlier state of the library, and kept
    overlapping_labels: int
