"""The process that serves the dashboard: Streamlit's server, which loads the pages while browsers still load theirs.

``python -m ehps.dashboard.serve run APP --flag=value`` is ``python -m streamlit run APP --flag=value`` with one thread
more.
"""

import time
from threading import Thread

from .loading import load, wait_until_calm


def main() -> None:
    """Become the server."""
    from streamlit.web.cli import main

    Thread(target=_warm_up, daemon=True).start()
    main(prog_name="streamlit")


def _warm_up() -> None:
    """Load what all pages need, then the pages in the order of the menu, so that first looks need not wait for it."""
    from streamlit.runtime import exists

    while not exists():  # before, the server itself has more to load, and cannot answer
        time.sleep(0.02)
    places = [place for section in load("shell").MENU.values() for place in section]
    wait_until_calm()
    load("state").warm_up()
    for place in places:
        wait_until_calm()
        load(f"views.{place.name}")


if __name__ == "__main__":
    main()
