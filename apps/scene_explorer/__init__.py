"""The scene explorer: ask a scene in words or by a click, see what is meant, and take it along.

`page.py` lays out controls and passes them on to `actions.py`, whose functions know nothing of a browser.
"""
