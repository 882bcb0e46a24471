"""What a scene holds, and that the browser finds every number of it where it looks."""

from dataclasses import replace

import numpy as np
import pytest

from ehps.body.joints import SMPLX_INDEX, SMPLX_JOINTS
from ehps.body.rotations import axis_angle_to_matrix
from ehps.dashboard import posed, solid
from ehps.dashboard.viewer.packing import JOINTS, LIMBS, SceneError, pack
from ehps.tests.dashboard.scenes import unpack

K = np.array([[900.0, 2.0, 319.5], [0, 880.0, 239.5], [0, 0, 1]])
CAMERA = solid.Camera(K, 640, 480)


def body(seed: int = 0, vertices: int = 7) -> posed.Body:
    """A few loose triangles three metres ahead."""
    rng = np.random.default_rng(seed)
    triangles = rng.integers(0, vertices, (5, 3))
    return posed.Body("smplx", rng.normal(0, 1, (vertices, 3)) + [0, 0, 3], triangles, is_recorded=False)


def shown(seed: int = 0, **more) -> solid.Shown:
    joints = np.random.default_rng(99 - seed).normal(0, 1, (144, 3)) + [0, 0, 3]
    return solid.Shown(f"person {seed}", body(seed), joints, **more)


def scene(*people: solid.Shown, **more) -> solid.Scene:
    return solid.Scene(people or (shown(),), "a key", **more)


class TestPack:
    def test_every_number_is_where_the_browser_reads_it(self):
        first, second = shown(0), shown(1, distances=np.linspace(0, 9, 7))
        made = unpack(pack(scene(first, second, camera=CAMERA, limit_mm=8.0, has_joints=True, has_frustum=True)))
        for person, read in zip((first, second), made["people"], strict=True):
            assert read["name"] == person.name
            assert read["vertices"].tolist() == person.body.vertices.astype(np.float32).ravel().tolist()
            assert read["triangles"].tolist() == person.body.triangles.ravel().tolist()
            places = [SMPLX_INDEX[name] for name in JOINTS]
            assert read["joints"].tolist() == person.joints[places].astype(np.float32).ravel().tolist()
        assert "distances" not in made["people"][0]
        assert made["people"][1]["distances"].tolist() == second.distances.astype(np.float32).tolist()
        assert (made["key"], made["limit"], tuple(made["joints"])) == ("a key", 8.0, JOINTS)
        assert made["camera"]["K"] == K.ravel().tolist()
        assert (made["camera"]["width"], made["camera"]["height"]) == (640, 480)
        frustum = np.reshape(made["camera"]["frustum"], (5, 3))
        assert frustum[0].tolist() == [0, 0, 0]
        seen = frustum[1:] @ K.T
        corners = [[-0.5, -0.5], [639.5, -0.5], [639.5, 479.5], [-0.5, 479.5]]
        assert seen[:, :2] / seen[:, 2:] == pytest.approx(np.array(corners))

    def test_the_same_scene_has_the_same_bytes_and_shared_triangles_travel_once(self):
        first = shown()
        other = replace(first, body=replace(first.body, vertices=first.body.vertices + 1))
        one, two = pack(scene(first)), pack(scene(first, other))
        assert one == pack(scene(shown()))
        read = unpack(two)["people"]
        assert read[0]["triangles"].tolist() == read[1]["triangles"].tolist()
        assert two.count(read[0]["triangles"].tobytes()) == 1

    def test_big_meshes_number_their_vertices_with_four_bytes(self):
        large = replace(body(), vertices=np.ones((70_000, 3)), triangles=np.array([[0, 1, 69_999]]))
        (person,) = unpack(pack(scene(solid.Shown("large", large))))["people"]
        assert person["triangles"].tolist() == [0, 1, 69_999]
        assert person["triangles"].dtype == np.uint32

    def test_joints_that_are_absent_stay_absent(self):
        person = shown()
        person.joints[SMPLX_INDEX["head"]] = np.nan
        (read,) = unpack(pack(scene(person, has_joints=True)))["people"]
        known = np.isfinite(read["joints"].reshape(-1, 3)).all(axis=1)
        assert [JOINTS[i] for i in np.flatnonzero(~known)] == ["head"]

    def test_parts_that_are_not_shown_do_not_travel(self):
        people = (shown(0), shown(1, distances=np.zeros(7)))
        without = unpack(pack(scene(*people, limit_mm=1.0, has_bodies=False)))["people"]
        assert all(not {"vertices", "triangles", "distances", "joints"} & set(person) for person in without)
        assert len(pack(scene(*people, limit_mm=1.0))) > len(pack(scene(*people, limit_mm=1.0, has_bodies=False)))

    def test_the_body_without_distances_is_a_shell_around_the_painted_one(self):
        people = unpack(pack(scene(shown(0), shown(1, distances=np.zeros(7)), limit_mm=1.0)))["people"]
        assert [person["isGhost"] for person in people] == [True, False]
        assert [person["isGhost"] for person in unpack(pack(scene(shown(0), shown(1))))["people"]] == [False, False]

    def test_limbs_join_named_joints_and_reach_all_of_them(self):
        assert set(JOINTS) <= set(SMPLX_JOINTS)
        assert sorted(end for _, end in LIMBS) == [i for i, name in enumerate(JOINTS) if name != "pelvis"]

    @pytest.mark.parametrize(
        ("bad", "words"),
        [
            (scene(replace(shown(), body=replace(body(), vertices=np.full((7, 3), np.nan)))), "are not finite"),
            (scene(replace(shown(), body=replace(body(), triangles=np.array([[0, 1, 7]])))), "beyond its 7"),
            (scene(shown(distances=np.zeros(6)), limit_mm=1.0), "not those of its vertices"),
            (scene(shown(distances=np.zeros(7))), "limit above 0"),
            (scene(shown(distances=np.full(7, np.inf)), limit_mm=1.0), "distances of person 0 are not finite"),
            (scene(has_frustum=True), "a camera that it does not have"),
            (scene(camera=solid.Camera(K[::-1].copy(), 640, 480)), "focal lengths"),
            (scene(camera=solid.Camera(K, 0, 480)), "0 x 480 pixels"),
        ],
    )
    def test_a_scene_that_would_be_drawn_wrongly_is_refused_in_a_sentence(self, bad, words):
        with pytest.raises(SceneError, match=words) as error:
            pack(bad)
        assert "\n" not in str(error.value)


class TestScene:
    def test_a_screen_reader_is_told_what_is_seen(self):
        person = replace(shown(1), distances=np.zeros(7))
        made = scene(shown(), person, camera=CAMERA, limit_mm=20.0, has_joints=True, has_frustum=True)
        assert made.label() == (
            "body and joints of person 0; body and joints of person 1, coloured by distance up to 20 mm; "
            "the camera of the picture"
        )
        assert scene(solid.Shown("who", None)).label() == "nothing of who"

    @pytest.mark.parametrize("degrees", [0, 35, 90, 179, -120])
    def test_people_face_where_hips_and_spine_say(self, standing, degrees):
        turn = axis_angle_to_matrix(np.array([0, np.radians(degrees), 0]))
        ahead = solid.facing(standing @ turn.T)
        assert ahead == pytest.approx((-np.sin(np.radians(degrees)), -np.cos(np.radians(degrees))), abs=0.02)

    def test_who_lies_or_is_unknown_faces_nowhere(self, standing):
        back = axis_angle_to_matrix(np.array([np.pi / 2, 0, 0]))
        assert solid.facing(standing @ back.T) is None
        assert solid.facing(np.full((144, 3), np.nan)) is None

    def test_the_depth_of_people_is_that_of_what_is_known(self):
        person = shown()
        assert solid.depth_of([person]) == pytest.approx(person.body.vertices[:, 2].mean())
        person.joints[5:] = np.nan
        assert solid.depth_of([replace(person, body=None)]) == pytest.approx(person.joints[:5, 2].mean())
        assert solid.depth_of([solid.Shown("who", None)]) == 1.0


@pytest.fixture
def standing():
    """Joints of somebody upright who faces the camera: the left hip at the right of the picture."""
    joints = np.full((144, 3), np.nan)
    for name, place in {"pelvis": (0, 0, 4), "left_hip": (0.1, 0, 4), "right_hip": (-0.1, 0, 4)}.items():
        joints[SMPLX_INDEX[name]] = place
    joints[SMPLX_INDEX["neck"]] = (0, -0.5, 4)
    return joints
