"""What is kept, and the one way it is written, hashed and verified."""
