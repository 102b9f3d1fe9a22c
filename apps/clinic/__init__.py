"""The clinic page: open a study, ask it in words, see what is meant, and take masks and a report along.

Research use only; not a medical device. `page.py` lays out controls and passes them on to `actions.py`, whose functions
know nothing of a browser.
"""
