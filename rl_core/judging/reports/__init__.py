"""What the gate found, for people: words, Markdown, plots."""
