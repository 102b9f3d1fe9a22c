"""Household: procedural things of some forty kinds with true phrases about each, and random scenes of them on a table.

What the embedded language model and the embedded mask proposer are trained on, and where test scenes of unseen seeds
come from. Builders of the tabletop are used where they exist, always with other colours, sizes and prints.
"""
