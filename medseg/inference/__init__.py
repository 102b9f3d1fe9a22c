"""A question about a study in, a `SegmentationResult` out: one study at a time, or a batch that survives."""
