"""The file that Streamlit runs (``ehps dash`` starts it).

Streamlit executes it as a script outside its package, so the package is reached by its full name.
"""

from importlib import import_module

load = import_module("ehps.dashboard.loading").load
with load("state").steady():
    load("shell").run()
