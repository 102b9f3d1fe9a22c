"""Masks: which pixels of a photo belong together, in levels from fine to coarse, and how they are made, read and kept.

Convention of the room: a level is a label map, -1 where there is no mask, numbers counted from 0 inside each view and
level; levels run from the finest to the coarsest.
"""
