"""The Gradio page: `page` builds it, one file per tab."""
