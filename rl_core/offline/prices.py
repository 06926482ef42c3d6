"""SQL that finds the prices behind a dataset's targets in the sealed bars."""

from rl_core.market.rolls import CONTRACT


def series_prices(*, has_contracts: bool) -> str:
    """SQL: the moment of each bar, the time by which horizons count, its close and contract."""
    return f"""
        SELECT epoch_us(timestamp::TIMESTAMPTZ) AS moment, moment AS time, close,
               {CONTRACT if has_contracts else "NULL"} AS contract
        FROM read_parquet($bars)
    """


def panel_prices(delisted_after_sessions: int, interval_ns: int) -> str:
    """The same of a panel: its equal-weight index, and sessions as time."""
    return f"""
        SELECT epoch_us(min(timestamp)::TIMESTAMPTZ) AS moment,
               session * {interval_ns // 1000} AS time,
               exp(sum(ln(1 + coalesce(avg(move), 0))) OVER (ORDER BY session)) AS close,
               NULL AS contract
        FROM (
            SELECT timestamp, session, CASE
                WHEN place - lag(place) OVER stock <= {delisted_after_sessions}
                THEN close / lag(close) OVER stock - 1 END AS move
            FROM (
                SELECT *, dense_rank() OVER (ORDER BY session) AS place FROM read_parquet($bars)
            )
            WINDOW stock AS (PARTITION BY symbol ORDER BY session)
        )
        GROUP BY session
    """
