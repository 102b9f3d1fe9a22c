"""Measurements of speed: each module prints one table; none of them gates a test."""
