"""How often the gate is wrong, measured on markets and series whose truth is known."""
