"""The shared ground of the toolkit: embedded assets and run folders (the vision-language backbone builds on them)."""
