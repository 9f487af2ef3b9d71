"""The Gradio page: `page.py` builds it, one file per tab, `parts/` the widgets of our own, `theme.css` the look."""

import os

# Before torch loads OpenMP: by default its threads spin while they wait for one another, which on cores that are shared
# with a browser costs most of the speed (2 cores, busy: 3 embedding steps a second instead of 16).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
