"""Adapters on top of PEFT: its own methods by name, and MAP and SpecLoRA, which it treats like its own."""
