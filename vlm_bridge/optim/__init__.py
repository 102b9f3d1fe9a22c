"""Optimisers: Muon for matrices, momenta kept as low-rank factors (MLorc), who is trained by which, a catalogue."""
