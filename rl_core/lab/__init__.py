"""Markets whose truth is known, and trials on them. No service imports this."""
