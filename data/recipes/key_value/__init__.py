"""A small language model that looks values up by their keys, trained from nothing."""
