"""The dashboard in a real browser: every page draws, the address follows the widgets, nothing leaves this machine."""

import pytest

from ehps.tests.dashboard.browsing import chromium, serving, settle

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install '.[dev]')")
pytestmark = pytest.mark.browser
PAGES = {
    "overview": ("/", "Sources on this machine"),
    "datasets": ("/datasets", "sources"),
    "facts": ("/card?card_id=bedlam", "How to get it"),
    "pictures": ("/card?card_id=bedlam&card_tab=Pictures&card_overlay=mesh", "Reshuffle"),
    "checks": ("/card?card_id=bedlam&card_tab=Checks", "Measured on everybody"),
    "distributions": ("/card?card_id=bedlam&card_tab=Distributions", "all other sources"),
    "rejects": ("/card?card_id=bedlam&card_tab=Left+out", "people were left out"),
    "benchmark": ("/benchmark", "Published"),
    "heatmap": ("/benchmark?bench_form=heatmap&bench_intervals=true", "Published"),
    "cell": ("/cell?cell_model=alpha&cell_protocol=bedlam_val", "Penalised"),
    "factor": ("/cell?cell_model=alpha&cell_protocol=bedlam_val&cell_tab=By+factor", "With intervals"),
    "people": ("/people?people_sort=box+height+px&people_overlay=joints", "of 28 people"),
    "person": ("/person?person_key=bedlam-val-scene_b-000001%231&person_solid=body&person_solid=camera", "In 3D"),
    "runs": ("/runs", "No training run here yet"),
    "conversions": ("/conversions", "No conversion here yet"),
    "mixture": ("/mixture", "of the samples"),
    "scaling": ("/scaling", "lower is better"),
    "study": ("/study", "Energy distance"),
}


@pytest.fixture(scope="module")
def server(tree):
    """The address of a dashboard over the small catalog."""
    with serving(tree.catalog, tree.results) as address:
        yield address


@pytest.fixture(scope="module")
def scored_server(tree, scored):
    """The same over results whose predictions are kept."""
    with serving(tree.catalog, scored) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with chromium() as engine:
        yield engine


@pytest.fixture(params=[1440, 900], ids=["wide", "narrow"])
def page(browser, request):
    context = browser.new_context(viewport={"width": request.param, "height": 900})
    yield context.new_page()
    context.close()


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


def test_half_a_window_shows_what_decides_and_filters_are_taken_back(server, browser):
    page = browser.new_page(viewport={"width": 900, "height": 900})
    page.goto(f"{server}/datasets?cat_kind_mocap=true&cat_search=hands")
    settle(page)
    assert page.locator("[data-testid=stDataFrame]").first.bounding_box()["width"] > 600  # six columns
    page.get_by_role("button", name="Clear filters").click()
    page.wait_for_url("**/datasets", timeout=20_000)
    page.close()


def test_a_measure_of_a_card_opens_its_worst_people(server, browser):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{server}/card?card_id=bedlam&card_tab=Checks")
    settle(page)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="min depth (m)").first.click()
    opened.value.get_by_text("12 of 28 people").wait_for(timeout=60_000)
    assert "people_direction=low+first" in opened.value.url
    opened.value.close()
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
    page.locator(".viewer canvas").wait_for(timeout=60_000)
    settle(page)
    page.get_by_role("link", name="Back to people").click()
    page.wait_for_url("**/people?**people_split_val=true**", timeout=20_000)
    page.get_by_text("9 of 28 people").wait_for(timeout=60_000)
    page.close()


def test_a_number_leads_to_its_people_to_one_of_them_and_back(scored_server, browser):
    page = browser.new_page(viewport={"width": 1440, "height": 1600})
    page.goto(f"{scored_server}/benchmark")
    settle(page)
    click_table(page, 0.75, 85, "near on BEDLAM val: PVE")
    page.wait_for_url("**/cell?**cell_model=near**", timeout=20_000)
    settle(page)
    page.get_by_role("tab", name="Worst people").click()
    page.wait_for_url("**cell_tab=Worst+people**", timeout=20_000)
    page.wait_for_function("document.querySelectorAll('[data-testid=stImage] img').length === 8", timeout=30_000)
    settle(page)
    cell = page.url
    page.get_by_role("link", name=" mm").locator("visible=true").first.click()
    page.wait_for_url("**/person?person_key=bedlam-val-**person_second=near**", timeout=20_000)
    page.get_by_text("mm apart on average").first.wait_for(timeout=60_000)
    page.locator(".viewer canvas").wait_for(timeout=60_000)
    settle(page)
    page.go_back()
    page.get_by_text("near on BEDLAM val: PVE").first.wait_for(timeout=60_000)
    settle(page)
    assert page.url == cell
    page.get_by_role("link", name="Back to the matrix").click()
    page.wait_for_url("**/benchmark**", timeout=20_000)
    page.get_by_text("Published").first.wait_for(timeout=60_000)
    page.close()


def test_an_address_opens_the_same_cell_in_another_window(scored_server, browser):
    page = browser.new_page(viewport={"width": 900, "height": 900})
    where = "cell_model=far&cell_protocol=bedlam_val&cell_measure=PA-PVE&cell_tab=Two+models&cell_other=near"
    page.goto(f"{scored_server}/cell?{where}")
    page.get_by_text("far on BEDLAM val: PA-PVE").wait_for(timeout=60_000)
    page.get_by_text("Biggest disagreements").wait_for(timeout=60_000)
    settle(page)
    page.close()
