"""The file that Streamlit runs (``ehps dash`` starts it).

Streamlit executes it as a script outside its package, so the package is reached by its full name. Processes that are
spawned beside it import it, too, under another name; they show nothing.
"""

from importlib import import_module

if __name__ == "__main__":
    loading = import_module("ehps.dashboard.loading")
    with loading.drawing(), loading.load("state").steady():
        loading.load("shell").run()
