"""Pictures of people: shaded meshes, points, skeletons, boxes, contact sheets and synthetic backgrounds.

Images are uint8 RGB of shape (height, width, 3); camera space is OpenCV's (x right, y down, z forward, metres),
pixel centres lie at integers. NumPy and OpenCV only; nothing here imports torch.
"""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from .joints import FINGERS, SMPLX_JOINTS, SMPLX_PARENTS
from .raster import fragments

Image = UInt8[np.ndarray, "height width 3"]
Picture = UInt8[np.ndarray, "_ _ 3"]  # of any size
Color = tuple[float, float, float]
# Where light comes from in camera space (towards the light) and how strong it is: headlight, sky, fill.
LIGHTS = (((0.25, -0.45, -1.0), 0.62), ((0.0, -1.0, 0.1), 0.22), ((-0.9, -0.1, -0.3), 0.14))
AMBIENT = 0.26
LEFT_COLOR: Color = (1.0, 0.55, 0.12)
RIGHT_COLOR: Color = (0.18, 0.62, 1.0)
MIDDLE_COLOR: Color = (0.88, 0.88, 0.88)
SHIFT = 4  # fractional bits of positions handed to OpenCV
MAX_PIXEL = 30000.0  # OpenCV's drawing overflows far outside the picture
CAPTION_HEIGHT = 20  # pixels
# What each joint hangs on: the kinematic tree, then toes, fingertips and the points of the head.
LIMB_PARENTS: dict[str, str] = {
    **{name: SMPLX_JOINTS[SMPLX_PARENTS[i]] for i, name in enumerate(SMPLX_JOINTS[1:55], start=1)},
    **{f"{s}_{toe}": f"{s}_foot" for s in ("left", "right") for toe in ("bigtoe", "smalltoe")},
    **{f"{s}_heel": f"{s}_ankle" for s in ("left", "right")},
    **{f"{s}_{finger}": f"{s}_{finger}_3" for s in ("left", "right") for finger in FINGERS},
    **{f"{s}_eye": "nose" for s in ("left", "right")},
    **{f"{s}_ear": f"{s}_eye" for s in ("left", "right")},
    "nose": "head",
}
PALETTE: tuple[Color, ...] = (
    (0.36, 0.61, 0.84), (0.93, 0.58, 0.33), (0.45, 0.74, 0.47), (0.84, 0.42, 0.48),
    (0.63, 0.52, 0.80), (0.85, 0.73, 0.34), (0.40, 0.73, 0.74), (0.78, 0.55, 0.69),
)  # fmt: skip


def render_mesh(
    image: Image,
    vertices_camera: Float[np.ndarray, "*people vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    K: Float[np.ndarray, "3 3"],
    *,
    color: Sequence[float] | Float[np.ndarray, "*colored 3"] | None = None,
    opacity: float = 1.0,
    smooth: int = 1,
) -> Image:
    """Return a copy of the image with people drawn into it; what is hidden, within and between people, stays hidden.

    `vertices_camera` holds one person or several with the same faces. `color` (0..1) is one colour, one a person or
    one a vertex (`people vertices 3`); without it each person takes the next of PALETTE. `smooth=2` draws at twice
    the size and averages, for soft edges.
    """
    people = np.asarray(vertices_camera, np.float32).reshape(-1, *vertices_camera.shape[-2:])
    height, width = image.shape[:2]
    scale = np.array([[smooth, 0, (smooth - 1) / 2], [0, smooth, (smooth - 1) / 2], [0, 0, 1]])
    shaded = shade(people, faces, spread_colors(color, *people.shape[:2]))
    pooled = (faces + np.arange(len(people))[:, None, None] * people.shape[1]).reshape(-1, 3)
    corners, share, row, column = fragments(people.reshape(-1, 3), pooled, scale @ K, (smooth * height, smooth * width))
    if not len(row):
        return image.copy()
    top, left = row.min() // smooth, column.min() // smooth
    bottom, right = row.max() // smooth + 1, column.max() // smooth + 1
    layer = np.zeros((smooth * (bottom - top), smooth * (right - left), 4), np.float32)
    place = (row - smooth * top, column - smooth * left)
    layer[(*place, slice(3))] = np.einsum("fc,fcd->fd", share, shaded.reshape(-1, 3)[corners])
    layer[(*place, 3)] = 1
    out = image.copy()
    out[top:bottom, left:right] = blend(out[top:bottom, left:right], layer, opacity)
    return out


def blend(image: Image, layer: Float[np.ndarray, "rows columns 4"], opacity: float) -> Image:
    """Return the image under a layer of colour (0..255, premultiplied) and cover (0..1), averaged to its size."""
    if layer.shape[:2] != image.shape[:2]:
        layer = cv2.resize(layer, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_AREA)
    cover = opacity * layer[:, :, 3:]
    return (image * (1 - cover) + opacity * layer[:, :, :3] + 0.5).astype(np.uint8)


def spread_colors(color: Sequence[float] | np.ndarray | None, people: int, vertices: int) -> np.ndarray:
    """Return colours (0..1) that broadcast to (people, vertices, 3)."""
    if color is None:
        color = np.array([PALETTE[i % len(PALETTE)] for i in range(people)])
    colors = np.asarray(color, np.float32)
    if colors.shape == (people, 3):
        return colors[:, None]
    if colors.shape in ((3,), (vertices, 3), (people, vertices, 3)):
        return colors
    raise ValueError(
        f"color has the shape {colors.shape}; give (3,), ({people}, 3), ({vertices}, 3) or ({people}, {vertices}, 3)"
    )


def shade(
    people: Float[np.ndarray, "people vertices 3"], faces: Int[np.ndarray, "faces 3"], colors: np.ndarray
) -> Float[np.ndarray, "people vertices 3"]:
    """Return the lit colour (0..255) of every vertex: Lambert shading by LIGHTS over AMBIENT."""
    light = np.full(people.shape[:2], AMBIENT, np.float32)
    normals = mesh_normals(people, faces)
    for towards, strength in LIGHTS:
        direction = np.array(towards, np.float32) / np.linalg.norm(towards)
        light += strength * np.maximum(normals @ direction.astype(np.float32), 0)
    return 255 * np.minimum(colors * light[:, :, None], 1)


def mesh_normals(
    people: Float[np.ndarray, "people vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "people vertices 3"]:
    """Return the unit normal of every vertex, the area-weighted mean of its faces."""
    a, b, c = (people[:, faces[:, i]] for i in range(3))
    flat = np.cross(b - a, c - a)
    normals = np.empty_like(people)
    corners = faces.T.ravel()
    for person, axis in np.ndindex(len(people), 3):
        normals[person, :, axis] = np.bincount(corners, np.tile(flat[person, :, axis], 3), people.shape[1])
    return normals / np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-12)


def draw_points(
    image: Image,
    points: Float[np.ndarray, "points 2"],
    *,
    color: Sequence[float] = (1.0, 0.85, 0.2),
    radius: float = 2.5,
    confidence: Float[np.ndarray, " points"] | None = None,
) -> Image:
    """Return a copy of the image with dots (pixels); points with no confidence or no finite place are left out."""
    out = image.copy()
    for point in points[usable(points, confidence)]:
        dot(out, point, radius + 1, (0, 0, 0))
        dot(out, point, radius, to_bytes(color))
    return out


def draw_skeleton(
    image: Image,
    joints_2d: Float[np.ndarray, "joints 2"],
    names: Sequence[str] = SMPLX_JOINTS,
    *,
    confidence: Float[np.ndarray, " joints"] | None = None,
    thickness: int = 2,
) -> Image:
    """Return a copy of the image with the limbs between named joints (pixels), left and right in different hues.

    `names` are those of SMPLX_JOINTS, of SUPERVISION_JOINTS or of any convention of `keypoints`, as many as there
    are joints or more. A limb takes the side of its outer joint: LEFT_COLOR is orange, RIGHT_COLOR blue, so that a
    swap is seen at a glance. Face landmarks are dots.
    """
    out = image.copy()
    names = tuple(names)[: len(joints_2d)]
    seen = usable(joints_2d, confidence)
    for start, end in limbs(names):
        if seen[start] and seen[end]:
            a, b = (fixed_point(joints_2d[i]) for i in (start, end))
            cv2.line(out, a, b, (20, 20, 20), thickness + 2, cv2.LINE_AA, SHIFT)
            cv2.line(out, a, b, to_bytes(side_color(names[end])), thickness, cv2.LINE_AA, SHIFT)
    for joint in np.flatnonzero(seen):
        dot(out, joints_2d[joint], thickness * 1.1, to_bytes(side_color(names[joint])))
    return out


def side_color(name: str) -> Color:
    """Return the colour of the side that a joint's name begins with."""
    return {"left": LEFT_COLOR, "right": RIGHT_COLOR}.get(name.partition("_")[0], MIDDLE_COLOR)


@lru_cache(maxsize=16)
def limbs(names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Return pairs of joints (inner, outer): each joint of the body and its nearest ancestor among the names."""
    index: dict[str, int] = {}
    for number, name in enumerate(names):
        # A neighbour that a source marks instead of the joint is drawn in the joint's place.
        index.setdefault(name.removesuffix("_extra").removesuffix("_openpose"), number)
    pairs = []
    for name in index:
        parent = LIMB_PARENTS.get(name)
        while parent is not None and parent not in index:
            parent = LIMB_PARENTS.get(parent)
        if parent is not None:
            pairs.append((index[parent], index[name]))
    if "pelvis" not in index:  # COCO has no middle: close the trunk as a box
        sides = (("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"))
        sides += (("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"))
        pairs += [(index[a], index[b]) for a, b in sides if a in index and b in index]
    return tuple(pairs)


def draw_box(
    image: Image,
    bbox_xyxy: Float[np.ndarray, "4"],
    *,
    color: Sequence[float] = (1.0, 1.0, 1.0),
    caption: str = "",
    thickness: int = 2,
) -> Image:
    """Return a copy of the image with a rectangle (pixels) and a caption above its left corner."""
    out = image.copy()
    if not np.isfinite(bbox_xyxy).all():
        return out
    corners = fixed_point(bbox_xyxy[:2]), fixed_point(bbox_xyxy[2:])
    cv2.rectangle(out, *corners, (20, 20, 20), thickness + 2, cv2.LINE_AA, SHIFT)
    cv2.rectangle(out, *corners, to_bytes(color), thickness, cv2.LINE_AA, SHIFT)
    if caption:
        x, y = (int(value) for value in np.clip(bbox_xyxy[:2], 0, MAX_PIXEL))
        write(out, caption, (x, max(y - 5, 12)), to_bytes(color))
    return out


def contact_sheet(
    tiles: Sequence[tuple[Picture, str]], columns: int = 6, tile_size: int = 256, background: int = 24
) -> Picture:
    """Return pictures with captions in a grid; each is scaled so that its longer side has `tile_size` pixels."""
    columns = max(min(columns, len(tiles)), 1)
    rows = [
        sheet_row(tiles[first : first + columns], columns, tile_size, background)
        for first in range(0, max(len(tiles), 1), columns)
    ]
    return np.concatenate(rows)


def sheet_row(tiles: Sequence[tuple[Picture, str]], columns: int, tile_size: int, background: int) -> Picture:
    """Return one row of a contact sheet, as high as its highest picture."""
    fitted = [(fit(image, tile_size - 4), caption) for image, caption in tiles]
    height = max((image.shape[0] for image, _ in fitted), default=0) + CAPTION_HEIGHT
    row = np.full((height + 4, columns * tile_size, 3), background, np.uint8)
    for number, (image, caption) in enumerate(fitted):
        top = (height - CAPTION_HEIGHT - image.shape[0]) // 2 + 2
        left = number * tile_size + (tile_size - image.shape[1]) // 2
        row[top : top + image.shape[0], left : left + image.shape[1]] = image
        room = tile_size // 8
        shown = caption if len(caption) <= room else ".." + caption[2 - room :]  # the end tells keys apart
        write(row, shown, (number * tile_size + 4, height - 4), (225, 225, 225))
    return row


def fit(image: Picture, side: int) -> Picture:
    """Return the image scaled so that its longer side has `side` pixels."""
    scale = side / max(image.shape[:2])
    size = max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def usable(points: np.ndarray, confidence: np.ndarray | None) -> Bool[np.ndarray, " points"]:
    """Return which points can be drawn: finite, within OpenCV's range, with some confidence."""
    near = np.abs(np.nan_to_num(points, nan=np.inf)) < MAX_PIXEL
    fine = np.logical_and(near[:, 0], near[:, 1])
    return fine if confidence is None else np.logical_and(fine, confidence > 0)


def fixed_point(point: np.ndarray) -> tuple[int, int]:
    """Return a pixel position in OpenCV's fixed-point numbers with SHIFT fractional bits."""
    x, y = np.round(np.clip(point, -MAX_PIXEL, MAX_PIXEL) * (1 << SHIFT)).astype(int)
    return int(x), int(y)


def dot(image: Image, point: np.ndarray, radius: float, color: tuple[int, ...]) -> None:
    """Draw a filled circle in place (pixels)."""
    cv2.circle(image, fixed_point(point), round(radius * (1 << SHIFT)), color, -1, cv2.LINE_AA, SHIFT)


def write(image: Image, text: str, place: tuple[int, int], color: tuple[int, ...]) -> None:
    """Write small text in place, dark-edged so that it reads on any ground."""
    for edge, ink in ((3, (15, 15, 15)), (1, color)):
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, ink, edge, cv2.LINE_AA)


def to_bytes(color: Sequence[float]) -> tuple[int, ...]:
    """Return a colour of 0..1 as 0..255."""
    return tuple(round(255 * min(max(float(value), 0), 1)) for value in color)


def scene_background(rng: np.random.Generator, width: int, height: int) -> Image:
    """Return a made-up scene without people: a room or an open place with a textured ground, things and grain."""
    horizon = int(height * rng.uniform(0.30, 0.55))
    canvas = np.empty((height, width, 3), np.float32)
    canvas[:horizon] = backdrop(rng, width, horizon)
    canvas[horizon:] = ground(rng, width, height - horizon)
    for _ in range(rng.integers(2, 9)):
        place_thing(rng, canvas, horizon)
    canvas *= 1 + 0.10 * noise(rng, width, height, 5)[:, :, None]
    canvas += 0.012 * rng.standard_normal(canvas.shape, np.float32)
    return (255 * np.clip(canvas, 0, 1)).astype(np.uint8)


def muted_color(rng: np.random.Generator, low: float = 0.25, high: float = 0.85) -> Float[np.ndarray, "3"]:
    """Return a random colour of little saturation."""
    return np.clip(rng.uniform(low, high) + rng.normal(0, 0.09, 3), 0.05, 1).astype(np.float32)


def noise(rng: np.random.Generator, width: int, height: int, octaves: int) -> Float[np.ndarray, "height width"]:
    """Return smooth noise of several sizes, about -1..1."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cells = (3 * 2**octave, 2 * 2**octave)
        grid = rng.normal(0, 0.5, cells[::-1]).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 1.6**octave
    return total


def backdrop(rng: np.random.Generator, width: int, height: int) -> Float[np.ndarray, "height width 3"]:
    """Return a wall or a sky: two colours from top to bottom, clouded or panelled."""
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    top, low = (np.array([0.45, 0.62, 0.85]), np.array([0.85, 0.88, 0.92])) if rng.random() < 0.4 else (
        muted_color(rng), muted_color(rng))  # fmt: skip
    wall = np.repeat(top * (1 - share) + low * share, width, axis=1)
    wall += 0.07 * noise(rng, width, height, 4)[:, :, None]
    if rng.random() < 0.4:
        seams = np.arange(width) % int(rng.integers(40, 160)) < 2
        wall[:, seams] *= 0.82
    return wall.astype(np.float32)


def ground(rng: np.random.Generator, width: int, height: int) -> Float[np.ndarray, "height width 3"]:
    """Return a floor in perspective: tiles, boards or plain, lighter towards the viewer."""
    depth = 1 / (np.arange(height, dtype=np.float32)[:, None] / height + 0.06)
    across = (np.arange(width, dtype=np.float32)[None] / width - rng.uniform(0.2, 0.8)) * depth * rng.uniform(3, 7)
    along = np.broadcast_to(depth * rng.uniform(1, 4), across.shape)
    kind = rng.integers(3)
    pattern = [(np.floor(across) + np.floor(along)) % 2, np.floor(across) % 2, np.zeros_like(across)][kind]
    fade = np.clip(1.6 - depth / 9, 0.15, 1)
    floor = muted_color(rng)[None, None] * (1 - 0.22 * (pattern * fade)[:, :, None])
    light = 0.85 + 0.25 * np.linspace(0, 1, height, dtype=np.float32)[:, None] + 0.08 * noise(rng, width, height, 5)
    return (floor * light[:, :, None]).astype(np.float32)


def place_thing(rng: np.random.Generator, canvas: Float[np.ndarray, "height width 3"], horizon: int) -> None:
    """Put a picture, window, board or box into the scene, in place."""
    height, width = canvas.shape[:2]
    w, h = int(width * rng.uniform(0.04, 0.22)), int(height * rng.uniform(0.06, 0.35))
    x = int(rng.integers(-w // 2, width - w // 2))
    standing = rng.random() < 0.5
    y = horizon + int(height * rng.uniform(0.0, 0.08)) - h if standing else int(rng.integers(0, max(horizon - h, 1)))
    box = canvas[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)]
    if not box.size:
        return
    if standing:
        shadow = canvas[max(y + h, 0) : max(y + h, 0) + max(h // 12, 2), max(x, 0) : max(x + w + h // 10, 0)]
        shadow *= 0.7
    texture = 1 + 0.12 * noise(rng, box.shape[1], box.shape[0], 4)[:, :, None]
    box[:] = muted_color(rng, 0.15, 0.9) * texture * np.linspace(1.08, 0.86, box.shape[0])[:, None, None]
    rim = max(min(w, h) // 16, 1)
    box[:rim] *= 0.7
    box[:, -rim:] *= 0.8
