"""Plausible people for fake raw trees: random poses of the stand-in body, placed before a camera, and their pictures.

Everything goes the owner's way, from a body to the numbers that an owner would write, so that a converter can be
checked by going back. Parameters are kept unbatched, in camera space, with absolute hands.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ehps.body.cameras import Distortion
from ehps.body.draw import render_mesh, scene_background
from ehps.body.hands import LEFT_HAND_MEAN, mirrored
from ehps.body.joints import SMPLX_INDEX
from ehps.body.keypoints import CONVENTIONS
from ehps.body.posing import PosingModel
from ehps.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from ehps.body.standin import standin_dir, standin_vertex_colors
from ehps.converters.bodies import Bodies

Parameters = dict[str, np.ndarray]
_UNKNOWN = np.full(2, np.nan)
_BATCH = 16  # people posed at once: 10,475 vertices each

# Joint (1 is the left hip) -> axis-angle, on top of arms that hang down.
_POSES: dict[str, dict[int, tuple[float, float, float]]] = {
    "stand": {},
    "walk": {1: (-0.5, 0, 0), 4: (0.5, 0, 0), 2: (0.35, 0, 0), 5: (0.25, 0, 0), 16: (0.4, 0, -1.1), 17: (-0.4, 0, 1.1)},
    "sit": {1: (-1.4, 0, 0.15), 2: (-1.4, 0, -0.15), 4: (1.4, 0, 0), 5: (1.4, 0, 0), 3: (0.15, 0, 0)},
    "reach": {16: (0, -0.6, 0.5), 18: (0, -0.7, 0), 3: (0, 0.2, 0.1), 2: (-0.2, 0, 0)},
    "lean": {3: (0.3, 0, 0), 6: (0.2, 0, 0), 17: (0, 0.9, 0.3), 19: (0, 0.9, 0), 5: (0.3, 0, 0)},
}
_ARMS_DOWN = {16: (0, 0, -1.05), 17: (0, 0, 1.05)}
# Names of detectors and annotators that mark (nearly) a joint of the body under a name of their own.
_ALIASES = {
    **{f"{side}_hip_extra": f"{side}_hip" for side in ("left", "right")},
    **{f"{side}_hand_root": f"{side}_wrist" for side in ("left", "right")},
    **{f"{side}_pupil_openpose": f"{side}_eye" for side in ("left", "right")},
}


@lru_cache(maxsize=1)
def _models() -> Path:
    """Return the folder of the stand-in models, the same one throughout a process."""
    return standin_dir()


def standin(num_betas: int = 10, gender: str = "neutral") -> PosingModel:
    """Return the stand-in SMPL-X model."""
    return PosingModel.load(_models(), "smplx", gender, num_betas)


def body_model(kind: str, gender: str, num_betas: int, *, is_kid: bool = False) -> PosingModel:
    """Return a stand-in model; a kid's takes the weight of the kid's template as one more of the betas."""
    model = Bodies(_models()).model(kind, gender, num_betas, is_kid)
    assert model is not None
    return model


def random_parameters(rng: np.random.Generator, num_betas: int = 10, *, with_face: bool = True) -> Parameters:
    """Return one upright body at the origin, without transl; both hands differ."""
    kind = list(_POSES)[rng.integers(len(_POSES))]
    body = rng.normal(0, 0.06, (21, 3))
    for joint, rotation in {**_ARMS_DOWN, **_POSES[kind]}.items():
        body[joint - 1] += rotation
    parameters = {
        "global_orient": rng.normal(0, 0.03, 3),
        "body_pose": body,
        "left_hand_pose": random_hand(rng),
        "right_hand_pose": mirrored(random_hand(rng)),
        "betas": np.clip(rng.normal(0, 1, num_betas), -2, 2),
    }
    if with_face:
        parameters["jaw_pose"] = np.array([rng.uniform(0.03, 0.3), 0.0, 0.0]) + rng.normal(0, 0.01, 3)
        parameters["expression"] = np.clip(rng.normal(0, 0.7, 10), -2, 2)
    return parameters


def random_hand(rng: np.random.Generator) -> np.ndarray:
    """Return an absolute pose of the left hand: anything from flat over relaxed to a fist, each finger its own."""
    curl = np.zeros((15, 3))
    fingers = rng.uniform(-0.1, 1.0) + rng.normal(0, 0.2, 4)
    curl[:12, 2] = -np.repeat(np.clip(fingers, -0.1, 1.2), 3)
    curl[12:] = LEFT_HAND_MEAN[12:] * rng.uniform(0.3, 1.0)
    return curl + rng.normal(0, 0.05, (15, 3))


def batch(people: Sequence[Parameters]) -> Parameters:
    """Return parameters of several people, one row each."""
    return {name: np.stack([person[name] for person in people]) for name in people[0]}


def joints(model: PosingModel, people: Sequence[Parameters]) -> np.ndarray:
    """Return the 144 joints of people (m)."""
    return model.joints(batch(people))


def vertices(model: PosingModel, people: Sequence[Parameters]) -> np.ndarray:
    """Return the meshes of people (m); many at once are cheaper than one by one."""
    if not people:
        return np.zeros((0, len(model.template), 3), np.float32)
    chunks = [model.vertices(batch(people[i : i + _BATCH])) for i in range(0, len(people), _BATCH)]
    return np.concatenate(chunks).astype(np.float32)


def rotation(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    """Return the rotation about the given axis angle (rad)."""
    return axis_angle_to_matrix(np.array([x, y, z], np.float64))


def face_camera(parameters: Parameters, yaw: float, pitch: float) -> Parameters:
    """Return the body turned from its own space (y up) into that of a camera that looks down by ``pitch``."""
    turned = rotation(x=pitch) @ rotation(x=np.pi) @ rotation(y=yaw) @ axis_angle_to_matrix(parameters["global_orient"])
    return {**parameters, "global_orient": matrix_to_axis_angle(turned)}


def place(model: PosingModel, people: Sequence[Parameters], pelvises: np.ndarray) -> list[Parameters]:
    """Return the people with their pelvis at the given points of camera space (m)."""
    offsets = model.pelvis_offset(np.stack([person["betas"] for person in people]))
    return [{**person, "transl": goal - offset} for person, goal, offset in zip(people, pelvises, offsets, strict=True)]


def stand_in_a_row(
    rng: np.random.Generator,
    model: PosingModel,
    people: Sequence[Parameters],
    K: np.ndarray,
    size: tuple[int, int],
    *,
    height_share: float = 0.6,
) -> list[Parameters]:
    """Return people side by side on one floor before a pitched camera, about ``height_share`` of the picture tall."""
    pitch = rng.uniform(0.03, 0.2)
    turned = [face_camera(person, rng.uniform(-0.9, 0.9), pitch) for person in people]
    distance = K[1, 1] * 1.75 / (size[1] * height_share) * rng.uniform(0.9, 1.25, len(people))
    centres = (np.arange(len(people)) + 0.5) / len(people) * size[0] + rng.normal(0, 0.02 * size[0], len(people))
    # Height of the pelvis over the lowest point of the feet, so that everyone stands on the floor.
    rest = joints(model, people)
    heights = rest[:, 0, 1] - rest[:, :, 1].min(axis=1)
    camera_height = heights.mean() + distance.mean() * np.tan(pitch)
    level = np.stack([(centres - K[0, 2]) / K[0, 0] * distance, camera_height - heights, distance], axis=1)
    return place(model, turned, level @ rotation(x=pitch).T)


def fill_crop(model: PosingModel, person: Parameters, focal_per_pixel: float) -> Parameters:
    """Return a person on the optical axis, so far away that its longer side fills one crop width of pixels.

    ``focal_per_pixel`` is the focal length of the crop's camera divided by the length of the person's box in pixels.
    """
    standing = place(model, [person], np.zeros((1, 3)))
    extent = joints(model, standing)[0]
    low, high = extent.min(axis=0), extent.max(axis=0)
    depth = focal_per_pixel * (high - low)[:2].max()
    goal = np.array([-(low + high)[0] / 2, -(low + high)[1] / 2, depth])
    return place(model, [person], goal[None])[0]


def points_2d(pixels: np.ndarray, convention: str) -> np.ndarray:
    """Return the pixels of the 144 joints in another convention's order, NaN for a point that is none of them."""
    names = (_ALIASES.get(name, name.removesuffix("_openpose")) for name in CONVENTIONS[convention])
    return np.stack([pixels[SMPLX_INDEX[name]] if name in SMPLX_INDEX else _UNKNOWN for name in names])


def tight_box(pixels: np.ndarray) -> np.ndarray:
    """Return left, top, right, bottom of points."""
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])


def backdrop(rng: np.random.Generator, size: tuple[int, int], pictures: str) -> np.ndarray:
    """Return an RGB picture without people: a made-up scene when ``pictures`` is rendered, else one colour."""
    if pictures == "rendered":
        # Made at half the size: quicker, and without the grain that would fill a PNG.
        return cv2.resize(scene_background(rng, size[0] // 2, size[1] // 2), size, interpolation=cv2.INTER_LINEAR)
    return np.full((size[1], size[0], 3), rng.integers(0, 256, 3), np.uint8)


def clothes(rng: np.random.Generator) -> np.ndarray:
    """Return what somebody wears: a colour for each vertex."""
    return standin_vertex_colors("smplx", rng)


def draw_people(
    picture: np.ndarray, meshes: np.ndarray, cameras: Sequence[np.ndarray], colors: Sequence[np.ndarray]
) -> np.ndarray:
    """Return the picture with meshes drawn into it; people who share one camera hide each other correctly."""
    faces = standin().triangles
    if all(K is cameras[0] for K in cameras):
        return render_mesh(picture, meshes, faces, cameras[0], color=np.stack(colors))
    for mesh, K, color in zip(meshes, cameras, colors, strict=True):
        picture = render_mesh(picture, mesh, faces, K, color=color[None])
    return picture


def write_picture(path: Path, rgb: np.ndarray) -> None:
    """Write a PNG or JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = tuple(rgb[0, 0].tolist())
    is_plain = bool((rgb == rgb[0, 0]).all())
    path.write_bytes(_plain(path.suffix, rgb.shape, colour) if is_plain else _encoded(path.suffix, rgb))


@lru_cache(maxsize=4096)
def _plain(suffix: str, shape: tuple[int, ...], colour: tuple[int, ...]) -> bytes:
    """Return the file of a picture of one colour: trees of one seed have the same ones, and tests build many."""
    return _encoded(suffix, np.full(shape, colour, np.uint8))


def _encoded(suffix: str, rgb: np.ndarray) -> bytes:
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 92]
    return cv2.imencode(suffix, rgb[..., ::-1], options)[1].tobytes()


@dataclass(frozen=True, eq=False)
class TruePerson:
    """What a converter must find out about one person of a fake tree."""

    parameters: Parameters  # camera space; everything that shaped the picture
    labelled: frozenset[str]  # those of them, or "vertices", that the owner's files tell
    K: np.ndarray  # of the upright picture
    size: tuple[int, int]  # width, height of the upright picture
    num_betas: int = 10
    quarter_turns: int = 0  # clockwise turns that make the owner's picture upright
    body_model: str = "smplx"
    gender: str = "neutral"  # of the body model
    kid_weight: float | None = None
    distortion: Distortion | None = None  # of the stored picture
    own_model: PosingModel | None = None  # of somebody with a personal template instead of betas

    @property
    def model(self) -> PosingModel:
        """Return the model that the parameters belong to."""
        is_kid = self.kid_weight is not None
        return self.own_model or body_model(self.body_model, self.gender, self.num_betas, is_kid=is_kid)

    @property
    def posable(self) -> Parameters:
        """Return the parameters as ``model`` takes them."""
        return with_kid(self.parameters, self.kid_weight)

    def joints(self) -> np.ndarray:
        """Return the 144 joints in camera space (m); NaN for those that the body model has not."""
        found = joints(self.model, [self.posable])[0]
        return found if self.body_model == "smplx" else _shared_joints(found)

    def vertices(self) -> np.ndarray:
        """Return the mesh in camera space (m)."""
        return vertices(self.model, [self.posable])[0]


def with_kid(parameters: Parameters, weight: float | None) -> Parameters:
    """Return parameters with a kid's weight behind the betas."""
    return parameters if weight is None else {**parameters, "betas": np.append(parameters["betas"], weight)}


def _shared_joints(found: np.ndarray) -> np.ndarray:
    """Return the joints of SMPL or SMPL-H in the places of SMPL-X: 22 of the body, then nose to heels."""
    out = np.full((144, 3), np.nan)
    out[:22] = found[:22]
    out[55:66] = found[-21:-10]
    return out


@dataclass(frozen=True)
class Truth:
    """The people that a converter must recover, by (split, key of the frame, provenance row), and the counts."""

    people: dict[tuple[str, str, str], TruePerson] = field(default_factory=dict)
    expected: dict[str, dict] = field(default_factory=dict)
