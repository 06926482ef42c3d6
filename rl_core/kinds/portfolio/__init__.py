"""Many stocks and cash, by the day."""
