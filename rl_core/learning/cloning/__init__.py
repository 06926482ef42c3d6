"""Behaviour cloning of the teacher."""
