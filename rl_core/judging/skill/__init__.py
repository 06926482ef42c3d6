"""The skill tier: forecasts and trading, each at its own level."""
