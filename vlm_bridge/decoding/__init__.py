"""How a backbone answers: greedy and sampled with streaming, positional contrastive decoding, choices, [SEG] states."""
