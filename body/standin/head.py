"""The stand-in's head and neck: a globe of rays cast onto a solid, with eyelids, ears and a mouth that opens.

5,023 vertices with two eyeballs for SMPL-X; SMPL and SMPL-H take a coarse globe of 1,438. Metres, body space.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Float

from .mesh import Loop, Mesh, frame_ring, split_edges
from .skeleton import LEFT_SIDE
from .solid import Primitive, Solid, chain, ellipsoid
from .trunk import neck_flesh

HEAD_VERTICES, COARSE_HEAD_VERTICES = 5023, 1438
COLUMNS, ROWS = 84, 54
COARSE_COLUMNS, COARSE_ROWS = 40, 35
ORIGIN = np.array([0.0, 0.250, -0.005])  # the rays start here
EYE, EYE_RADIUS = np.array(LEFT_SIDE["eye"]), 0.0125
MOUTH_HEIGHT, MOUTH_HALF, MOUTH_DEPTH = 0.2075, 0.0235, 0.0925
EYE_HALF_WIDTH, LID_UP, LID_DOWN = 0.0150, 0.0056, 0.0046  # the opening of an eye, metres
EAR = (0.262, -0.017)  # height and depth of the middle of an ear
# How densely rays are sown: (degrees, relative density).
AZIMUTH_DENSITY = ((0, 1.0), (50, 1.0), (62, 0.5), (78, 0.6), (84, 0.8), (108, 0.8), (120, 0.25), (180, 0.25))
ELEVATION_DENSITY = ((-57, 0.9), (-42, 1.3), (-36, 2.8), (34, 2.8), (46, 1.2), (90, 0.7))


def head_solid() -> Solid:
    """Return the flesh of the head without ears and eyeballs: a smooth base with sharper features on it."""
    base = [
        ellipsoid((0, 0.306, -0.012), (0.0735, 0.086, 0.092)),
        ellipsoid((0, 0.322, 0.028), (0.0520, 0.048, 0.053)),
        ellipsoid((0, 0.256, 0.018), (0.0600, 0.064, 0.058)),
        ellipsoid((0, 0.218, 0.055), (0.0330, 0.038, 0.029)),
        ellipsoid((0, 0.185, 0.066), (0.0190, 0.0135, 0.018)),
        neck_flesh(),
    ]
    features = [
        chain(((0, 0.296, 0.0760), 0.0085), ((0, 0.272, 0.0800), 0.0110), ((0, 0.249, 0.0860), 0.0130)),
        chain(((0, 0.292, 0.0780), 0.0075), ((0, 0.272, 0.0880), 0.0070), ((0, 0.250, 0.1030), 0.0090)),
        chain(((-0.020, 0.2090, 0.0750), 0.0030), ((-0.006, 0.2140, 0.0875), 0.0058), ((0, 0.2130, 0.0880), 0.0056),
              ((0.006, 0.2140, 0.0875), 0.0058), ((0.020, 0.2090, 0.0750), 0.0030)),
        chain(((-0.019, 0.2060, 0.0740), 0.0035), ((0, 0.2008, 0.0850), 0.0070), ((0.019, 0.2060, 0.0740), 0.0035)),
    ]  # fmt: skip
    for sign in (1, -1):
        bones, details = face_side(sign)
        base, features = base + bones, features + details
    return Solid([Solid(base, melt=0.022), *features], melt=0.008)


def face_side(sign: int) -> tuple[list[Primitive], list[Primitive]]:
    """Return bones and details of one half of the face; sign 1 is the left."""

    def at(x: float, y: float, z: float) -> tuple[float, float, float]:
        return sign * x, y, z

    bones = [
        chain((at(0.047, 0.224, 0.008), 0.0125), (at(0.037, 0.202, 0.036), 0.0125), (at(0.010, 0.185, 0.064), 0.0130)),
        ellipsoid(at(0.042, 0.258, 0.046), (0.021, 0.018, 0.021)),
        ellipsoid(at(0.034, 0.228, 0.040), (0.022, 0.024, 0.025)),
        chain((at(0.000, 0.301, 0.076), 0.0085), (at(0.026, 0.303, 0.073), 0.0090), (at(0.050, 0.298, 0.050), 0.010)),
    ]
    details = [
        ellipsoid(at(0.0115, 0.2460, 0.0890), (0.0070, 0.0066, 0.0110)),
        ellipsoid(at(EYE[0], EYE[1], EYE[2]), (0.0155, 0.0140, 0.0137)),
    ]
    return bones, details


def sown(shares: Float[np.ndarray, "count"], density: tuple[tuple[float, float], ...]) -> Float[np.ndarray, "count"]:
    """Return the angles (radians) below which lie the given shares of a density over degrees."""
    places, weights = np.array(density).T
    fine = np.linspace(places[0], places[-1], 4000)
    total = np.cumsum(np.interp(fine, places, weights))
    total = (total - total[0]) / (total[-1] - total[0])
    return np.radians(np.interp(shares, total, fine))


def directions(columns: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return azimuths (from 0 in front over the left to the back and round) and elevations, radians."""
    half = sown(np.linspace(0, 1, columns // 2 + 1), AZIMUTH_DENSITY)
    azimuth = np.concatenate([half, 2 * np.pi - half[-2:0:-1]])
    return azimuth, sown((np.arange(rows) + 0.5) / rows, ELEVATION_DENSITY)


def rays(azimuth: Float[np.ndarray, "*grid"], elevation: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid 3"]:
    """Return unit rays."""
    flat = np.cos(elevation)
    return np.stack([flat * np.sin(azimuth), np.sin(elevation), flat * np.cos(azimuth)], axis=-1)


def seen_angles(x: float, y: float, z: float) -> tuple[float, float]:
    """Return azimuth and elevation of a point, radians."""
    return float(np.arctan2(x, z - ORIGIN[2])), float(np.arctan2(y - ORIGIN[1], np.hypot(x, z - ORIGIN[2])))


def mouth_elevation() -> float:
    """Return the elevation at which the lips meet, radians."""
    return seen_angles(0, MOUTH_HEIGHT, MOUTH_DEPTH)[1]


def lid_elevations(azimuth: Float[np.ndarray, "columns"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the elevations of lower and upper lid at each column and how far the column belongs to an eye."""
    middle, height = seen_angles(EYE[0], EYE[1] - 0.0005, EYE[2] + EYE_RADIUS)
    reach = np.hypot(EYE[0], EYE[2] + EYE_RADIUS - ORIGIN[2])
    turned = np.abs((azimuth + np.pi) % (2 * np.pi) - np.pi)
    across = (turned - middle) * reach / EYE_HALF_WIDTH
    open_share = np.sqrt(np.maximum(1 - np.minimum(np.abs(across), 1) ** 2, 0)) + 0.04
    tilt = 0.0012 * np.clip(across, -1.5, 1.5) / reach
    near = np.clip(2.2 - np.abs(across), 0, 1)
    lower, upper = height - LID_DOWN * open_share / reach, height + LID_UP * open_share / reach
    return lower + tilt, upper + tilt, near * near * (3 - 2 * near)


def neck_dip(azimuth: np.ndarray, level: np.ndarray) -> Float[np.ndarray, "rows columns"]:
    """Return how much lower the lowest rays point in front than behind, so that the neck ends in a plane, radians."""
    low = np.radians(ELEVATION_DENSITY[0][0])
    share = np.clip((np.radians(-36) - level) / (np.radians(-36) - low), 0, 1)
    return np.outer(share, np.radians(0.5 - 9.4 * np.cos(azimuth)))


class FaceGrid:
    """The rays of the fine head: rows bent so that one runs along the lips and two along the lids of the eyes."""

    def __init__(self) -> None:
        self.azimuth, level = directions(COLUMNS, ROWS)
        self.mouth_row = int(np.argmin(np.abs(level - mouth_elevation())))
        shift = mouth_elevation() - level[self.mouth_row]
        level = level + shift * np.exp(-(((level - level[self.mouth_row]) / 0.25) ** 2))
        lower, upper, near = lid_elevations(self.azimuth)
        self.lid_rows = int(np.argmin(np.abs(level - lower.min()))), int(np.argmin(np.abs(level - upper.max())))
        low, high = self.lid_rows
        self.elevation = level[:, None] + neck_dip(self.azimuth, level)
        for column in np.flatnonzero(near > 0):
            fixed = [level[low] - 0.16, level[low], level[high], level[high] + 0.16]
            wanted = [fixed[0], lower[column], upper[column], fixed[3]]
            bent = level + np.interp(level, fixed, np.subtract(wanted, fixed), left=0, right=0)
            self.elevation[:, column] += near[column] * (bent - level)

    def points(self) -> Float[np.ndarray, "rows columns 3"]:
        """Return the skin: rays cast onto the head, sunk between the lids, ears pulled out."""
        grid = rays(np.broadcast_to(self.azimuth, self.elevation.shape), self.elevation)
        flat = grid.reshape(-1, 3)
        points = head_solid().cast(np.broadcast_to(ORIGIN, flat.shape), flat, 0.03, 0.16)
        points = pull_ears(points).reshape(grid.shape)
        low, high = self.lid_rows
        lower, upper, _ = lid_elevations(self.azimuth)
        opened = np.flatnonzero((upper - lower) > 0.35 * (upper - lower).max())
        for row in range(low + 1, high):
            points[row, opened] -= 0.006 * grid[row, opened]
        return points


def pull_ears(points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
    """Return the points with those around the ears pulled out to a shell with a rim and a hollow."""
    side = np.sign(points[:, 0])
    up, back = points[:, 1] - EAR[0], EAR[1] - points[:, 2]
    tall, wide = (up - 0.15 * back) / 0.033, (back + 0.15 * up) / 0.020
    radius = np.hypot(tall, wide)
    rise = np.clip((1.15 - radius) / 0.50, 0, 1)
    rise = rise * rise * (3 - 2 * rise)
    hollow = 0.55 * np.exp(-((tall / 0.55) ** 2) - ((wide + 0.15) / 0.55) ** 2)
    lean = np.clip(0.62 + 0.38 * wide, 0.2, 1)
    out = 0.021 * np.maximum(rise * lean - hollow * rise * 0.5, 0) * (np.abs(points[:, 0]) > 0.045)
    return points + out[:, None] * np.column_stack([side, np.zeros_like(side), np.full_like(side, -0.45)])


def build_head() -> tuple[Mesh, Loop]:
    """Return the head of SMPL-X and the loop around its neck, counter-clockwise seen from above."""
    grid = FaceGrid()
    points = grid.points()
    mesh = Mesh()
    loops = [mesh.add(ring, "head") for ring in points]
    crown = mesh.add(head_solid().cast(ORIGIN[None], np.array([[0, 1.0, 0]]), 0.03, 0.19), "head")
    upper = open_mouth(mesh, loops[grid.mouth_row], points[grid.mouth_row])
    for number, (below, above) in enumerate(pairwise(loops)):
        quads(mesh, [upper.get(i, i) for i in below] if number == grid.mouth_row else below, above)
    mesh.fan(loops[-1], crown[0])
    for side, sign in (("left", 1), ("right", -1)):
        build_eye(mesh, side, sign)
    skin = np.array([part == "head" for part in mesh.parts]) & (np.arange(len(mesh.parts)) >= COLUMNS)
    split_edges(mesh, HEAD_VERTICES, skin)
    return mesh, loops[0]


def build_coarse_head() -> tuple[Mesh, Loop]:
    """Return a globe for the head of SMPL; only the directions of its points from ORIGIN count."""
    mesh = Mesh()
    azimuth, elevation = directions(COARSE_COLUMNS, COARSE_ROWS)
    elevation = elevation[:, None] + neck_dip(azimuth, elevation) * 0.9
    loops = [mesh.add(ORIGIN + 0.1 * rays(azimuth, level), "head") for level in elevation]
    for below, above in pairwise(loops):
        quads(mesh, below, above)
    mesh.fan(loops[-1], mesh.add(ORIGIN[None] + [0, 0.1, 0], "head")[0])
    split_edges(mesh, COARSE_HEAD_VERTICES, np.arange(len(mesh.parts)) >= COARSE_COLUMNS)
    return mesh, loops[0]


def quads(mesh: Mesh, below: Loop, above: Loop) -> None:
    """Close the band between two loops of the same length."""
    count = len(below)
    for i in range(count):
        j = (i + 1) % count
        mesh.faces += [(below[i], below[j], above[j]), (below[i], above[j], above[i])]


def open_mouth(mesh: Mesh, loop: Loop, points: Float[np.ndarray, "columns 3"]) -> dict[int, int]:
    """Part the lips: double their row and line the gap with a bag; return the upper lip of each lower one."""
    order = [*range(COLUMNS // 2, COLUMNS), *range(COLUMNS // 2)]
    wide = [c for c in order if points[c, 2] > 0.05 and abs(points[c, 0]) <= MOUTH_HALF + 1e-3]
    lower = [loop[c] for c in wide]
    upper = mesh.add(points[wide[1:-1]] + [0, 2e-4, 0], "head")
    rim = lower + upper[::-1]
    last = rim
    for depth, lift in ((0.006, 0.001), (0.014, 0.004), (0.028, 0.007)):
        place = mesh.vertices[rim] - [0, 0, depth]
        place[:, 0] *= 1 - 6 * depth
        place[1 : len(lower) - 1, 1] -= lift
        place[len(lower) :, 1] += lift
        last = mesh.tube(last, [place], "inner_head")
    inside = mesh.add(mesh.vertices[last].mean(axis=0, keepdims=True), "inner_head")
    mesh.fan(last, inside[0])
    return dict(zip(lower[1:-1], upper, strict=True))


def build_eye(mesh: Mesh, side: str, sign: int) -> None:
    """Add an eyeball of 164 points whose pole looks ahead, with fifteen faces missing at its back."""
    centre = EYE * [sign, 1, 1]
    pole = mesh.add((centre + [0, 0, EYE_RADIUS])[None], f"{side}_eye")
    angles = np.arange(18) * np.pi / 9
    rings = []
    for turn in np.linspace(0, np.pi, 11)[1:-1]:
        size = EYE_RADIUS * np.sin(turn)
        middle = centre + [0, 0, EYE_RADIUS * np.cos(turn)]
        rings.append(frame_ring(middle, np.array([size, 0, 0]), np.array([0, size, 0]), angles))
    last = mesh.add(rings[0], f"{side}_eye")
    mesh.fan(last, pole[0])
    for ring in rings[1:]:
        loop = mesh.add(ring, f"{side}_eye")
        quads(mesh, loop, last)
        last = loop
    back = mesh.add((centre - [0, 0, EYE_RADIUS])[None], f"{side}_eye")
    before = len(mesh.faces)
    mesh.fan(last[::-1], back[0])
    del mesh.faces[before + 3 :]
