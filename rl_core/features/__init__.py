"""From bars to the 34-feature state: indicators, volatility regimes, sentiment, the state table."""
