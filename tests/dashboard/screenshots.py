"""Pictures of every page for ``docs/dashboard.md``: ``python -m ehps.tests.dashboard.screenshots DEMO OUT``.

DEMO is what ``ehps demo`` wrote. Each page is taken light and dark, 1440 and 900 pixels wide, as high as it is, and
written as WebP. What they show is our own stand-in body in front of our own backgrounds.
"""

import argparse
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import cv2
import numpy as np

from ehps.shards.catalog import query
from ehps.tests.dashboard.browsing import chromium, serving, settle

WIDTHS, SCHEMES = (1440, 900), ("light", "dark")
LEAST, MOST = 700, 1800  # px, the height of a picture
QUALITY = 62
_CALM, _LOOKS = 900, 5  # ms that charts take to draw after the app is done; times to look whether a page grew
_ASKED = "SELECT person_key FROM people WHERE dataset = 'ehf' ORDER BY box_height_px DESC LIMIT 1"


def addresses(person_key: str) -> dict[str, str]:
    """Return the address of every picture by its name; ``person_key`` is somebody whom a model was asked about."""
    person = f"/person?{urlencode({'person_key': person_key})}"
    cell = "/cell?cell_protocol=bedlam_val"
    return {
        "overview": "/",
        "datasets": "/datasets",
        "card_facts": "/card?card_id=mscoco",
        "card_pictures": "/card?card_id=bedlam&card_tab=Pictures&card_overlay=mesh",
        "card_checks": "/card?card_id=bedlam&card_tab=Checks",
        "card_distributions": "/card?card_id=bedlam&card_tab=Distributions",
        "people": "/people?people_sort=box+height+px&people_overlay=joints",
        "person": f"{person}&person_marks=mesh&person_solid=body&person_solid=camera",
        "person_compare": f"{person}&person_tab=Compare",
        "person_fields": f"{person}&person_tab=Fields",
        "person_source": f"{person}&person_tab=Where+it+comes+from",
        "study_similarity": "/study",
        "study_map": "/study?study_tab=Map",
        "study_orientation": "/study?study_tab=Orientation",
        "study_hands": "/study?study_tab=Hands",
        "conversions": "/conversions",
        "mixture": "/mixture",
        "runs": "/runs",
        "runs_data": "/runs?run_tab=Data",
        "runs_first_batch": "/runs?run_tab=First+batch",
        "benchmark": "/benchmark",
        "cell": cell,
        "cell_factor": f"{cell}&cell_tab=By+factor",
        "cell_worst": f"{cell}&cell_tab=Worst+people",
        "cell_two": f"{cell}&cell_tab=Two+models",
        "scaling": "/scaling",
    }


def file_name(name: str, scheme: str, width: int) -> str:
    """Return what a picture is called in the documentation."""
    return f"{name}-{scheme}-{width}.webp"


def take(page: Any, server: str, address: str, width: int) -> np.ndarray:
    """Return a page as RGB pixels, as high as what is on it."""
    page.set_viewport_size({"width": width, "height": LEAST})
    page.goto(server + address)
    settle(page)
    height = LEAST
    for _ in range(_LOOKS):
        page.wait_for_timeout(_CALM)
        inner = "Math.max(...[...document.querySelectorAll('[data-testid=stMain], body')].map(e => e.scrollHeight))"
        wanted = int(np.clip(page.evaluate(inner), LEAST, MOST))
        if wanted == height:
            break
        height = wanted  # what comes into view is drawn now, and may grow
        page.set_viewport_size({"width": width, "height": height})
        settle(page)
    page.mouse.move(width - 2, height - 2)
    page.wait_for_timeout(_CALM)
    return cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)


def write_all(demo: Path, out: Path, only: list[str]) -> None:
    """Write every picture, or those whose names are given."""
    out.mkdir(parents=True, exist_ok=True)
    wanted = addresses(query(demo / "data", _ASKED)["person_key"].iloc[0])
    wanted = {name: wanted[name] for name in only or wanted}
    data, results, run = (Path(demo.name, name) for name in ("data", "results", "run"))
    with serving(data, results, run, demo.resolve().parent) as server, chromium() as browser:
        for scheme in SCHEMES:
            context = browser.new_context(color_scheme=scheme, reduced_motion="reduce")
            page = context.new_page()
            for name, address in wanted.items():
                for width in WIDTHS:
                    path = out / file_name(name, scheme, width)
                    cv2.imwrite(str(path), take(page, server, address, width), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
            context.close()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path, help="folder that ehps demo wrote")
    parser.add_argument("out", type=Path, help="folder of the pictures")
    parser.add_argument("names", nargs="*", help="pictures to take; all when none is named")
    arguments = parser.parse_args()
    write_all(arguments.demo, arguments.out, arguments.names)


if __name__ == "__main__":
    main()
