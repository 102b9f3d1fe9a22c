"""What is said to a backbone: conversations, special tokens, the chat template, and user text that stays plain text."""
