"""One future, intraday, with brackets and the rules of a funded account."""
