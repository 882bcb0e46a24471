"""The dashboard in a real browser: every page draws, the address follows the widgets, nothing leaves this machine."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from ehps.body.models import ENVIRONMENT
from ehps.dashboard import launch, settings

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install '.[dev]')")
pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
PAGES = {
    "overview": ("/", "People by source"),
    "datasets": ("/datasets", "sources"),
    "facts": ("/card?card_id=bedlam", "How to get it"),
    "pictures": ("/card?card_id=bedlam&card_tab=Pictures&card_overlay=mesh", "Reshuffle"),
    "distributions": ("/card?card_id=bedlam&card_tab=Distributions", "all other sources"),
    "rejects": ("/card?card_id=bedlam&card_tab=Left+out", "people were left out"),
    "benchmark": ("/benchmark", "Published"),
    "people": ("/people?people_sort=box+height+px&people_overlay=joints", "of 28 people"),
    "person": ("/person?person_key=bedlam-val-scene_b-000001%231&person_solid=body&person_solid=camera", "In 3D"),
    "runs": ("/runs", "No training run here yet"),
    "conversions": ("/conversions", "No conversion here yet"),
    "mixture": ("/mixture", "of the samples"),
    "scaling": ("/scaling", "lower is better"),
    "study": ("/study", "How far the nearest body pose"),
}


@pytest.fixture(scope="module")
def server(tree, tmp_path_factory):
    """The address of a dashboard over the small catalog."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {**os.environ, **settings.environment(tree.catalog, tree.results), ENVIRONMENT: "standin"}
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as output:
        process = subprocess.Popen(launch.command(port, True, "127.0.0.1"), env=variables, stdout=output, stderr=output)
        try:
            wait_for(f"http://127.0.0.1:{port}/_stcore/health", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=20)


def wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            with urlopen(address, timeout=2):
                return
        except URLError:
            time.sleep(0.25)
    pytest.fail(f"the server does not answer: {log.read_text(encoding='utf-8')}")


@pytest.fixture(scope="module")
def browser():
    if not Path(CHROMIUM).is_file():
        pytest.skip("Chromium is not installed: run make browser as root, or apt-get install chromium")
    with playwright.sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(params=[1440, 900], ids=["wide", "narrow"])
def page(browser, request):
    context = browser.new_context(viewport={"width": request.param, "height": 900})
    yield context.new_page()
    context.close()


def settle(page) -> None:
    """Wait until the app has finished its run."""
    page.wait_for_selector("[data-testid=stMain]", timeout=60_000)
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')", timeout=60_000)
    page.wait_for_timeout(600)
    assert page.locator("[data-testid=stException]").count() == 0, page.locator(
        "[data-testid=stException]"
    ).inner_text()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_draws_without_errors_and_without_leaving_this_machine(server, page, name, tmp_path):
    address, wanted = PAGES[name]
    strangers, complaints = [], []
    page.on("request", lambda request: None if ours(request.url, server) else strangers.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(server + address)
    page.get_by_text(wanted).first.wait_for(timeout=60_000)
    settle(page)
    picture = tmp_path / f"{name}.png"
    page.screenshot(path=picture, full_page=True)
    assert picture.stat().st_size > 20_000
    assert strangers == []
    assert complaints == []


def ours(url: str, server: str) -> bool:
    """Whether a request stays on this machine."""
    return url.startswith((server, server.replace("http", "ws", 1), "data:", "blob:"))


def click_table(page, share: float, down: float, wanted: str) -> None:
    """Click into the first table until its cell is taken: the table is drawn before it listens."""
    table = page.locator("[data-testid=stDataFrame]").first
    for _ in range(5):
        table.wait_for(state="visible", timeout=30_000)
        size = table.bounding_box()
        table.click(position={"x": share * size["width"], "y": down}, timeout=30_000)
        try:
            page.get_by_text(wanted).first.wait_for(timeout=5_000)
        except playwright.TimeoutError:
            continue
        return
    pytest.fail(f"no click led to {wanted!r}")


def test_a_facet_goes_into_the_address_and_back(server, browser):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{server}/datasets")
    settle(page)
    page.locator(".st-key-cat_kind_synthetic label").click()
    page.wait_for_url("**cat_kind_synthetic=true**", timeout=20_000)
    settle(page)
    headline = page.get_by_text(" sources").first.inner_text()
    page.reload()
    settle(page)
    assert page.get_by_text(" sources").first.inner_text() == headline
    page.close()


def test_a_click_into_the_table_opens_the_card(server, browser):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{server}/datasets?cat_state_converted=true")
    settle(page)
    click_table(page, 0.1, 55, "How to get it")
    page.wait_for_url("**/card?card_id=bedlam**", timeout=20_000)
    page.close()


def test_a_tile_leads_to_its_person_and_from_there_back_to_the_same_filters(server, browser):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{server}/people?people_split_val=true&people_sort=distance+m")
    page.get_by_text("of 28 people").wait_for(timeout=60_000)
    settle(page)
    page.locator("[data-testid=stMain] [data-testid=stPageLink] a").first.click()
    page.wait_for_url("**/person?person_key=bedlam-val-**", timeout=20_000)
    page.locator(".js-plotly-plot").first.wait_for(timeout=60_000)
    settle(page)
    page.get_by_role("link", name="Back to people").click()
    page.wait_for_url("**/people?**people_split_val=true**", timeout=20_000)
    page.get_by_text("9 of 28 people").wait_for(timeout=60_000)
    page.close()


def test_a_click_on_a_number_shows_its_people(server, browser):
    page = browser.new_page(viewport={"width": 1440, "height": 1600})
    page.goto(f"{server}/benchmark")
    settle(page)
    click_table(page, 0.75, 85, "alpha on EHF: PVE")
    page.wait_for_function("document.querySelectorAll('[data-testid=stImage] img').length === 6", timeout=30_000)
    settle(page)
    page.locator("[data-testid=stMain] [data-testid=stPageLink] a").first.click()
    page.wait_for_url("**/person?person_key=bedlam-val-**", timeout=20_000)
    page.get_by_text("Picture and body").wait_for(timeout=60_000)
    settle(page)
    page.go_back()
    page.wait_for_url("**/benchmark**", timeout=20_000)
    page.get_by_text("Published").first.wait_for(timeout=60_000)
    page.close()
