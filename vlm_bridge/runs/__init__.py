"""Run folders of long jobs: what was asked for, what was measured, and checkpoints to go on from."""
