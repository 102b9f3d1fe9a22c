"""Pictures for a vision-language backbone: cut into square tiles with a thumbnail, normalised channel by channel."""
