"""What chance could do: the tests behind the gate's verdict on skill. NumPy in, figures out."""
