"""Recipe of the embedded chest phantom: a CT series of ellipsoids, nobody's body."""
