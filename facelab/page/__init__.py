"""The Gradio page: `page.py` builds it, one file per tab, `parts/` the widgets of our own, `theme.css` the look."""
