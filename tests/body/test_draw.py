"""Pictures show what is in front, in the right place, in the right colour."""

import numpy as np
import pytest

from ehps.body import draw
from ehps.body.joints import SMPLX_INDEX, SMPLX_JOINTS, SUPERVISION_JOINTS
from ehps.body.keypoints import CONVENTIONS
from ehps.body.posing import PosingModel
from ehps.body.standin import standin_vertex_colors

K = np.array([[100.0, 0, 32], [0, 100, 24], [0, 0, 1]])
GREY = np.full((48, 64, 3), 90, np.uint8)
# A square of two triangles that faces the camera, 0.2 m wide, its corners counter-clockwise seen from the camera.
SQUARE = np.array([[-0.1, -0.1, 0], [-0.1, 0.1, 0], [0.1, 0.1, 0], [0.1, -0.1, 0]])
SQUARE_FACES = np.array([[0, 1, 2], [0, 2, 3]])
RED, GREEN = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


def square(x=0.0, depth=1.0):
    return SQUARE + [x, 0, depth]


def test_a_square_covers_the_pixels_that_its_corners_span():
    out = draw.render_mesh(GREY, square(), SQUARE_FACES, K, color=RED)
    rows, columns = np.nonzero((out != 90).any(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (14, 34, 22, 42)
    assert len(rows) == 21 * 21  # no pixel twice, none left out along the diagonal
    assert out[24, 32, 0] > 100
    assert out[24, 32, 1] == 0
    assert (GREY == 90).all()  # the picture handed in is untouched


@pytest.mark.parametrize("order", [1, -1])
def test_the_nearer_person_hides_the_farther_whatever_their_order(order):
    people = np.stack([square(0.0, 1.0), square(0.05, 2.0)][::order])
    out = draw.render_mesh(GREY, people, SQUARE_FACES, K, color=np.array([RED, GREEN][::order]))
    assert out[24, 32, 0] > out[24, 32, 1]
    assert (out[:, :, 1] > out[:, :, 0]).sum() == 0 or out[24, 43, 1] > 0


def test_faces_that_look_away_or_lie_behind_the_camera_are_not_drawn():
    turned = draw.render_mesh(GREY, square(), SQUARE_FACES[:, ::-1], K, color=RED)
    behind = draw.render_mesh(GREY, square(depth=-1.0), SQUARE_FACES, K, color=RED)
    beside = draw.render_mesh(GREY, square(x=5.0), SQUARE_FACES, K, color=RED)
    for out in (turned, behind, beside):
        np.testing.assert_array_equal(out, GREY)


def test_a_mesh_that_reaches_out_of_the_picture_is_cut():
    out = draw.render_mesh(GREY, square(x=-0.3), SQUARE_FACES, K, color=RED)
    assert (out[24, :13] != 90).any(axis=1).all()
    assert (out[24, 13:] == 90).all()


def test_opacity_mixes_with_the_picture():
    solid, half = (draw.render_mesh(GREY, square(), SQUARE_FACES, K, color=RED, opacity=o) for o in (1.0, 0.5))
    expected = (GREY[24, 32].astype(float) + solid[24, 32]) / 2
    np.testing.assert_allclose(half[24, 32], expected, atol=1)


def test_smooth_edges_lie_between_inside_and_outside():
    out = draw.render_mesh(GREY, square() + [0.0025, 0, 0], SQUARE_FACES, K, color=RED, smooth=2)
    edge = out[24, 22].astype(int)
    assert (out[24, 32].astype(int) - edge)[0] > 5
    assert edge[0] > 95


def test_vertex_colours_blend_over_a_face():
    colors = np.array([RED, RED, GREEN, GREEN])
    out = draw.render_mesh(GREY, square(), SQUARE_FACES, K, color=colors).astype(int)
    assert out[24, 23, 0] > out[24, 23, 1] + 50
    assert out[24, 41, 1] > out[24, 41, 0] + 50


def test_colours_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"color has the shape \(2, 3\)"):
        draw.render_mesh(GREY, square(), SQUARE_FACES, K, color=np.array([RED, GREEN]))


def test_a_person_is_drawn_where_their_joints_project(standin_dir):
    model = PosingModel.load(standin_dir)
    pose = {
        "betas": np.zeros((1, 10)),
        "global_orient": np.array([[np.pi, 0, 0]]),
        "transl": np.array([[0.2, 0.4, 4.0]]),
    }
    camera = np.array([[400.0, 0, 160], [0, 400, 160], [0, 0, 1]])
    joints = model.joints(pose)[0]
    spots = (joints @ camera.T)[:, :2] / joints[:, 2:]
    out = draw.render_mesh(np.zeros((320, 320, 3), np.uint8), model.vertices(pose), model.triangles, camera)
    inside = [out[round(y), round(x)].max() > 0 for x, y in spots[:25]]
    assert all(inside)
    assert 0.03 < (out.max(axis=2) > 0).mean() < 0.15


def test_left_and_right_limbs_have_their_own_colours():
    joints = np.full((55, 2), np.nan)
    for name, place in (("pelvis", (32, 10)), ("left_hip", (52, 10)), ("right_hip", (12, 10)), ("left_knee", (52, 40))):
        joints[SMPLX_INDEX[name]] = place
    out = draw.draw_skeleton(np.zeros((48, 64, 3), np.uint8), joints)
    for (x, y), color in (((42, 10), draw.LEFT_COLOR), ((22, 10), draw.RIGHT_COLOR), ((52, 25), draw.LEFT_COLOR)):
        np.testing.assert_allclose(out[y, x] / 255, color, atol=0.02)
    assert out[25, 12].max() == 0  # the right knee is unknown: no limb


@pytest.mark.parametrize("names", [SMPLX_JOINTS, SUPERVISION_JOINTS, *CONVENTIONS.values()])
def test_limbs_connect_the_body_in_every_convention(names):
    pairs = draw.limbs(tuple(names))
    for side in ("left", "right"):
        for inner, outer in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee")):
            if f"{side}_{outer}" in names and f"{side}_{inner}" in names:
                assert (names.index(f"{side}_{inner}"), names.index(f"{side}_{outer}")) in pairs


def test_points_without_confidence_or_place_are_left_out():
    points = np.array([[10.0, 10], [30, 10], [np.nan, 5], [1e9, 5]])
    out = draw.draw_points(np.zeros((20, 40, 3), np.uint8), points, confidence=np.array([1.0, 0, 1, 1]))
    assert out[10, 10].max() > 200
    assert out[:, 20:].max() == 0


def test_a_box_is_drawn_on_its_edges():
    out = draw.draw_box(np.zeros((60, 80, 3), np.uint8), np.array([20.0, 20, 60, 50]), color=RED, caption="left 3")
    assert out[20, 40, 0] > 200
    assert out[35, 20, 0] > 200
    assert out[35, 40].max() == 0
    assert out[5:18, 20:50].max() > 100  # the caption
    unknown = draw.draw_box(GREY, np.array([np.nan, 0, 1, 1]))
    np.testing.assert_array_equal(unknown, GREY)


def test_a_contact_sheet_shows_every_picture_once():
    tiles = [(np.full((40 + i % 2, 80, 3), 60 + 20 * i, np.uint8), f"picture {i}") for i in range(5)]
    sheet = draw.contact_sheet(tiles, columns=2, tile_size=100)
    assert sheet.shape == (49 + 49 + 48 + 3 * (draw.CAPTION_HEIGHT + 4), 200, 3)
    for i in range(5):
        assert (sheet == 60 + 20 * i).all(axis=2).sum() >= 48 * 96
    assert draw.contact_sheet([]).ndim == 3


def test_backgrounds_differ_between_seeds_and_repeat_for_one():
    first, again, other = (draw.scene_background(np.random.default_rng(seed), 160, 90) for seed in (1, 1, 2))
    assert first.shape == (90, 160, 3)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 8
    assert first.std() > 8


@pytest.mark.parametrize(("kind", "count"), [("smplx", 10475), ("smpl", 6890)])
def test_people_are_dressed_differently(standin_dir, kind, count):
    one, two = (standin_vertex_colors(kind, np.random.default_rng(seed)) for seed in (1, 2))
    assert one.shape == (count, 3)
    assert one.min() >= 0
    assert one.max() <= 1
    assert np.abs(one - two).max() > 0.2
    assert len(np.unique(one.round(2), axis=0)) > 8
