"""Pages in the browser, one folder each: `page.py` is layout alone and the only door to gradio, the rest is plain."""
