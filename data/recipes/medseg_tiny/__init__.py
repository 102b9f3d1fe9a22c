"""How the embedded medical model is made: its pictures, its grounding, its language, and the specialists it is held against."""
