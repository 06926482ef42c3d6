"""Tables as people bring them: text, Parquet, Feather, databases; and what their columns mean."""
