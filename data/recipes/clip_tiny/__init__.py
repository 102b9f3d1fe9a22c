"""Recipe of the embedded language model: crops of random household scenes, phrases with known truth, a sigmoid loss."""
