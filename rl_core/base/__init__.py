"""What everything stands on: errors, checks, files, strict YAML, units. No numerical library."""
