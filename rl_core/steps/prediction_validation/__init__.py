"""prediction_validation: the gate. The only link that reads the test span."""
