"""What running needs and the mathematics must not see: files, locks, progress."""
