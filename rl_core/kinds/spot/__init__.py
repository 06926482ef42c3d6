"""One instrument, bought and sold for cash."""
