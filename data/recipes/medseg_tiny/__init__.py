"""How the embedded medical model is made: pictures, grounding, language, and the specialists it is held against."""
