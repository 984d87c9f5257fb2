"""Promotion: candidates, the gate, and the names of the released models."""
