"""How the small embedded backbone is made: pictures with questions about them, a tokenizer, a training, a test."""
