"""Between seeing and speaking: pixel shuffle, the MLP connector, its own file, and what may learn when."""
