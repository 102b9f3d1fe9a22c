"""Studies in memory: volumes in RAS+ millimetres, where they came from, and the exact way back to the files' grid."""
