"""The tabletop: a procedural still life with exact ground truth. `python -m data.recipes.tabletop` makes it again."""
