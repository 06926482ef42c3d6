"""How wide the interval beside a served prediction is."""

from pydantic import BaseModel, ConfigDict


class ReturnInterval(BaseModel):
    """How wide the interval beside a prediction is: so many times the bar's volatility."""

    model_config = ConfigDict(frozen=True)

    coverage: float  # promised
    half_width: float  # in units of the volatility of one bar at the decision
    volatility_floor: float  # a volatility below it counts as this much
    rows: int  # known targets of validation and test that it was calibrated on
    test_coverage: float | None  # found on test with a width calibrated on validation alone
