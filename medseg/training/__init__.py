"""What a model learns from: records of questions about pictures, the writer of questions, splits, checks, training."""
