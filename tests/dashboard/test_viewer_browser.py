"""The view in 3D as its reader uses it, in a real browser."""

from itertools import combinations
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from ehps.body.joints import SMPLX_INDEX
from ehps.dashboard.lookup import Lookup
from ehps.dashboard.viewer.component import script
from ehps.shards.catalog import query
from ehps.tests.dashboard.browsing import chromium, serving, settle

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install '.[dev]')")
pytestmark = pytest.mark.browser
CANVAS = ".viewer canvas"


@pytest.fixture(scope="module")
def server(tree, scored):
    with serving(tree.catalog, scored) as address:
        yield address


@pytest.fixture(scope="module")
def context():
    with chromium() as engine:
        yield engine.new_context(accept_downloads=True, has_touch=True)


@pytest.fixture(scope="module")
def people(tree):
    """Two labelled people of one source, of whom models said something."""
    keys = query(tree.catalog, "SELECT person_key FROM people WHERE split = 'val' ORDER BY person_key")["person_key"]
    return Lookup(tree.catalog).people(tuple(keys[1:3]))


@pytest.fixture
def page(context):
    found = context.new_page()
    found.set_viewport_size({"width": 1440, "height": 1000})
    yield found
    found.close()


def open_person(page, server: str, person, *more: str) -> None:
    page.goto(f"{server}/person?" + "&".join([f"person_key={quote(person.person_key)}", *more]))
    drawn(page)


def drawn(page) -> int:
    """Wait until the view is there and still, and return how often it was drawn."""
    page.locator(CANVAS).wait_for(timeout=60_000)
    settle(page)
    return int(page.locator("[data-drawn]").get_attribute("data-drawn"))


def act(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def looks(page) -> np.ndarray:
    """What is seen, without words that stand on it only while the mouse is there."""
    page.mouse.move(2, 2)
    page.evaluate("document.querySelector('[data-drawn]').shadowRoot.activeElement?.blur()")
    page.wait_for_timeout(400)
    return cv2.imdecode(np.frombuffer(page.locator(CANVAS).screenshot(), np.uint8), cv2.IMREAD_COLOR).astype(int)


def differ(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two looks show different things; the browser itself draws corners of buttons a little differently."""
    return first.shape != second.shape or np.abs(first - second).max() > 16


def middle(page) -> tuple[float, float]:
    box = page.locator(CANVAS).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def point_at(page, person, name: str) -> np.ndarray:
    """Look from the camera, put the mouse where the picture has a joint, and return that (m)."""
    act(page, "From the camera")
    page.wait_for_timeout(300)
    frame = page.locator(".viewer .frame").bounding_box()
    scale = frame["width"] / person.width
    assert frame["height"] == pytest.approx(scale * person.height, abs=0.1)
    point = person.joints_3d[SMPLX_INDEX[name]].astype(float)
    pixel = person.K @ point / point[2]
    page.mouse.move(frame["x"] + scale * (pixel[0] + 0.5), frame["y"] + scale * (pixel[1] + 0.5))
    return point


def drag(page, right: float, down: float) -> None:
    x, y = middle(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=4)
    page.mouse.up()


def test_the_view_from_the_camera_is_the_projection_of_the_picture(page):
    rng = np.random.default_rng(3)
    K = np.array([[1480.2, 1.7, 611.3], [0, 1502.9, 377.8], [0, 0, 1]])
    points = rng.uniform([-2, -1, 2], [2, 1, 40], (50, 3))
    page.goto("about:blank")
    found = page.evaluate(
        """async ([source, camera, points]) => {
          const maths = await import(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})));
          const lens = maths.pictureLens(camera, {left: 14, top: 46, width: 600, height: 470});
          const m = maths.clipMatrix(lens, 628, 560, 0.1, 60);
          const view = {yaw: 0, pitch: 0, pivot: [0.3, -0.2, 7], rel: [0.3, -0.2, 7]};
          const scale = Math.min(600 / camera.width, 470 / camera.height);
          const left = 14 + (600 - scale * camera.width) / 2, top = 46 + (470 - scale * camera.height) / 2;
          return points.map(point => {
            const [x, y, z] = maths.seen(view, point);
            const clip = [0, 1, 2, 3].map(i => m[i] * x + m[4 + i] * y + m[8 + i] * z + m[12 + i]);
            const across = 628 * (clip[0] / clip[3] + 1) / 2, down = 560 * (1 - clip[1] / clip[3]) / 2;
            return [(across - left) / scale - 0.5, (down - top) / scale - 0.5, clip[2] / clip[3]];
          });
        }""",
        [script(), {"K": K.ravel().tolist(), "width": 1280, "height": 720}, points.tolist()],
    )
    seen = points @ K.T
    assert np.array(found)[:, :2] == pytest.approx(seen[:, :2] / seen[:, 2:], abs=1e-3)
    assert (np.abs(np.array(found)[:, 2]) < 1).all()


def test_from_the_camera_a_joint_lies_where_the_picture_has_it_and_tells_its_name(server, page, people):
    person = people[0]
    open_person(page, server, person, "person_solid=body", "person_solid=joints")
    for name in ("left_knee", "head", "right_elbow"):
        point = point_at(page, person, name)
        page.locator(".tip div", has_text=name.replace("_", " ")).wait_for(timeout=5_000)
        where = page.locator(".tip div").last.inner_text()
        assert where == "  ".join(f"{axis} {one:.3f}" for axis, one in zip("xyz", point, strict=True)) + " m"


def test_a_drag_turns_the_body_and_reset_turns_it_back(server, page, people):
    open_person(page, server, people[0])
    before = looks(page)
    drag(page, 120, 30)
    assert differ(looks(page), before)
    act(page, "Reset")
    assert not differ(looks(page), before)
    page.mouse.dblclick(*middle(page))
    for key in ("ArrowLeft", "ArrowUp", "+", "Shift+ArrowRight"):
        held = looks(page)
        page.locator(CANVAS).press(key)
        assert differ(looks(page), held), key
    page.locator(CANVAS).press("0")
    assert not differ(looks(page), before)


def test_named_views_differ(server, page, people):
    open_person(page, server, people[0])
    found = []
    for name in ("From the camera", "Front", "Side", "Above", "Reset"):
        act(page, name)
        found.append(looks(page))
    assert all(differ(*pair) for pair in combinations(found, 2))


def test_a_view_survives_other_overlays_but_not_another_person(server, page, people):
    open_person(page, server, people[0])
    first = looks(page)
    drag(page, 90, 0)
    turned = looks(page)
    assert differ(turned, first)
    page.locator(".st-key-person_marks").get_by_text("joints", exact=True).click()
    drawn(page)
    assert not differ(looks(page), turned)
    page.get_by_role("tab", name="Fields").click()
    page.locator(CANVAS).wait_for(state="detached")
    page.get_by_role("tab", name="Picture and body").click()
    drawn(page)
    assert not differ(looks(page), turned)
    page.locator(".st-key-person_key input").fill(people[1].person_key)
    page.locator(".st-key-person_key input").press("Enter")
    page.wait_for_function(
        "name => document.querySelector('[data-drawn]')?.shadowRoot.querySelector('canvas').ariaLabel.includes(name)",
        arg=people[1].person_key,
    )
    drawn(page)
    assert page.locator(".tools .now").inner_text() == "Reset"


def test_the_wheel_scrolls_the_page_until_the_view_was_clicked(server, page, people):
    page.set_viewport_size({"width": 1440, "height": 750})
    open_person(page, server, people[0])
    before = drawn(page)
    page.mouse.move(*middle(page))
    assert "Click first" in page.locator(".viewer .hint").inner_text()
    page.mouse.wheel(0, 60)
    page.wait_for_timeout(400)
    assert drawn(page) == before
    page.mouse.click(*middle(page))
    place = page.locator(CANVAS).bounding_box()["y"]
    page.mouse.wheel(0, -60)
    page.wait_for_timeout(400)
    assert drawn(page) > before
    assert page.locator(CANVAS).bounding_box()["y"] == place


def test_two_fingers_zoom(server, page, people):
    open_person(page, server, people[0])
    before = looks(page)
    x, y = middle(page)
    page.touchscreen.tap(x, y)
    session = page.context.new_cdp_session(page)
    for reach in (20, 60, 100):
        fingers = [{"x": x + sign * reach, "y": y, "id": number} for number, sign in enumerate((-1, 1))]
        kind = "touchStart" if reach == 20 else "touchMove"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert differ(looks(page), before)


def test_nothing_is_drawn_while_nothing_changes(server, page, people):
    open_person(page, server, people[0])
    before = drawn(page)
    page.wait_for_timeout(700)
    assert drawn(page) == before <= 4


def test_a_click_on_the_legend_hides_a_body(server, page, people):
    open_person(page, server, people[0], "person_tab=Compare", "person_second=near+r1+on+bedlam_val")
    both = looks(page)
    entry = page.locator(".legend button").last
    assert entry.get_attribute("aria-pressed") == "true"
    entry.click()
    assert entry.get_attribute("aria-pressed") == "false"
    assert not page.locator(".viewer .scale").is_visible()
    one = looks(page)
    assert differ(one, both)
    page.locator(".st-key-person_pair_opacity").get_by_text("30%").click()
    drawn(page)
    assert not differ(looks(page), one)


def test_the_distance_of_the_nearest_vertex_is_told(server, page, people):
    open_person(page, server, people[0], "person_tab=Compare", "person_second=near+r1+on+bedlam_val")
    point_at(page, people[0], "pelvis")
    page.locator(".tip div", has_text=" mm").wait_for(timeout=5_000)


def test_the_picture_is_saved_with_what_is_seen(server, page, people, tmp_path):
    open_person(page, server, people[0])
    with page.expect_download() as waited:
        act(page, "Save as PNG")
    path = tmp_path / waited.value.suggested_filename
    waited.value.save_as(path)
    picture = cv2.imread(str(path))
    box = page.locator(CANVAS).bounding_box()
    assert path.suffix == ".png"
    assert picture.shape[:2] == (round(box["height"]), round(box["width"]))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 200


def test_screen_readers_are_told_what_is_seen(server, page, people):
    open_person(page, server, people[0], "person_solid=body", "person_solid=joints")
    assert page.get_by_role("img", name=f"body and joints of {people[0].person_key}").count() == 1


def test_a_lost_context_comes_back(server, page, people):
    open_person(page, server, people[0])
    before = looks(page)
    held = (
        "window.held = document.querySelector('[data-drawn]').shadowRoot.querySelector('canvas').getContext('webgl2')"
    )
    page.evaluate(f"{held}; window.loss = held.getExtension('WEBGL_lose_context'); loss.loseContext()")
    page.wait_for_timeout(300)
    count = drawn(page)
    page.evaluate("loss.restoreContext()")
    page.wait_for_function(f"document.querySelector('[data-drawn]').dataset.drawn > {count}")
    assert not differ(looks(page), before)
    page.get_by_role("tab", name="Fields").click()
    page.locator(CANVAS).wait_for(state="detached")
    page.wait_for_function("window.held.isContextLost()", timeout=5_000)


def test_a_browser_without_webgl_gets_a_sentence(server, page, people):
    page.add_init_script(
        """const context = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
          return kind === 'webgl2' ? null : context.call(this, kind, ...more);
        }"""
    )
    page.goto(f"{server}/person?person_key={quote(people[0].person_key)}")
    page.get_by_text("needs WebGL 2, which this browser does not offer").wait_for(timeout=60_000)
    settle(page)


def test_the_view_follows_the_theme_and_fills_the_screen(server, page, people):
    open_person(page, server, people[0])
    assert looks(page)[300, 5].min() > 200
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(500)
    assert looks(page)[300, 5].max() < 60
    act(page, "Full screen")
    page.wait_for_function("document.fullscreenElement")
    page.wait_for_timeout(300)
    assert page.locator(CANVAS).bounding_box()["width"] == pytest.approx(page.evaluate("window.innerWidth"), abs=1)


@pytest.mark.parametrize("width", [1440, 900])
def test_nothing_runs_off_the_view(server, page, people, width):
    page.set_viewport_size({"width": width, "height": 1000})
    open_person(page, server, people[0], "person_tab=Compare", "person_second=near+r1+on+bedlam_val")
    outer = page.locator(".viewer").bounding_box()
    for part in page.locator(".viewer button:visible").all():
        box = part.bounding_box()
        assert outer["x"] <= box["x"]
        assert box["x"] + box["width"] <= outer["x"] + outer["width"] + 0.5
    picture = looks(page)
    ground = picture[picture.shape[0] // 2, 2]
    edges = (picture[12:-12, 2:5], picture[12:-12, -5:-2], picture[-5:-2, 12:-12])
    assert all(np.abs(edge - ground).max() <= 2 for edge in edges)
