"""Composition roots: each wires the rooms below into one job."""
