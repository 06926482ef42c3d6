"""The links of the chain. A new link is declared in its own module and entered here."""
