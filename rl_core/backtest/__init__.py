"""The backtest: one walk over the bars, one record per decision."""
