"""Recipe of the embedded mask proposer: borders of pieces, things and groups in random household scenes."""
