"""The stand-in's trunk, arms and legs: 3,896 vertices between the wrists and the neck; metres."""

import numpy as np

from .mesh import Loop, Mesh, frame_ring, relax, split_edges
from .skeleton import LEFT_SIDE
from .solid import Primitive, Solid, chain, ellipsoid

BODY_VERTICES, COLUMNS, SOLE = 3896, 32, -1.322
# Rings of the trunk from the neck down: height, half breadth, half depth, middle in depth, rise of the front.
TRUNK_ROWS = (
    (0.152, 0.060, 0.060, -0.030, 0.005), (0.141, 0.066, 0.062, -0.029, 0.007), (0.132, 0.082, 0.064, -0.027, 0.006),
    (0.125, 0.106, 0.068, -0.024, 0.000), (0.120, 0.132, 0.074, -0.020, -0.006), (0.108, 0.152, 0.084, -0.014, 0),
    (0.085, 0.162, 0.094, -0.008, 0), (0.062, 0.164, 0.102, -0.004, 0), (0.038, 0.162, 0.108, 0.000, 0),
    (0.014, 0.160, 0.112, 0.002, 0), (-0.012, 0.157, 0.114, 0.004, 0), (-0.042, 0.152, 0.112, 0.004, 0),
    (-0.074, 0.146, 0.108, 0.004, 0), (-0.106, 0.140, 0.105, 0.004, 0), (-0.138, 0.135, 0.102, 0.004, 0),
    (-0.170, 0.132, 0.100, 0.004, 0), (-0.202, 0.132, 0.100, 0.004, 0), (-0.234, 0.135, 0.103, 0.003, 0),
    (-0.266, 0.142, 0.108, 0.001, 0), (-0.298, 0.150, 0.114, -0.003, 0), (-0.330, 0.158, 0.118, -0.008, 0),
    (-0.362, 0.164, 0.120, -0.010, 0), (-0.392, 0.168, 0.120, -0.012, 0), (-0.420, 0.170, 0.116, -0.012, 0),
)  # fmt: skip
SOCKET = (4, 8)  # the arm leaves between these rows
LEG_ROWS, ARM_ROWS = 55, 29


def body_solid() -> Solid:
    """Return the flesh of trunk, neck, arms and legs."""
    parts = [
        ellipsoid((0, 0.000, -0.010), (0.140, 0.135, 0.098)),
        ellipsoid((0, -0.150, 0.000), (0.124, 0.150, 0.090)),
        ellipsoid((0, -0.270, 0.006), (0.134, 0.120, 0.093)),
        ellipsoid((0, -0.365, -0.002), (0.142, 0.105, 0.096)),
        neck_flesh(),
    ]
    for sign in (1, -1):
        parts += limb_solids(sign)
    return Solid(parts, melt=0.034, floor=SOLE)


def neck_flesh() -> Solid:
    """Return the neck and the slopes of the shoulders, which trunk and head share."""
    stops = (
        ((0, 0.02, -0.030), 0.060),
        ((0, 0.10, -0.034), 0.059),
        ((0, 0.17, -0.028), 0.054),
        ((0, 0.25, -0.018), 0.053),
    )
    slopes = [
        chain(
            ((s * 0.020, 0.128, -0.042), 0.036),
            ((s * 0.090, 0.104, -0.036), 0.034),
            ((s * 0.150, 0.088, -0.026), 0.038),
        )
        for s in (1, -1)
    ]
    return Solid([chain(*stops), *slopes], melt=0.034)


def limb_solids(sign: int) -> list[Primitive]:
    """Return the primitives of one side; sign 1 is the left."""

    def at(x: float, y: float, z: float) -> tuple[float, float, float]:
        return sign * x, y, z

    elbow, wrist, knee, ankle = (at(*LEFT_SIDE[name]) for name in ("elbow", "wrist", "knee", "ankle"))
    return [
        ellipsoid(at(0.068, 0.022, 0.048), (0.066, 0.050, 0.036)),
        ellipsoid(at(0.076, 0.020, -0.062), (0.062, 0.085, 0.040)),
        chain(
            (at(0.150, 0.080, -0.022), 0.050), (at(0.190, 0.089, -0.024), 0.051), (at(0.225, 0.092, -0.026), 0.048),
            (at(0.280, 0.094, -0.028), 0.045), (at(0.340, 0.094, -0.032), 0.042), (at(0.390, 0.094, -0.036), 0.038),
            (elbow, 0.0365), (at(0.470, 0.094, -0.037), 0.0395), (at(0.510, 0.094, -0.036), 0.0390),
            (at(0.570, 0.094, -0.034), 0.0340), (at(0.630, 0.094, -0.032), 0.0275), (wrist, 0.0245),
        ),
        ellipsoid(at(0.072, -0.410, -0.058), (0.076, 0.078, 0.062)),
        chain(
            (at(0.086, -0.420, 0.004), 0.084), (at(0.092, -0.520, 0.010), 0.081), (at(0.096, -0.620, 0.012), 0.076),
            (at(0.098, -0.720, 0.014), 0.066), (at(0.099, -0.790, 0.013), 0.057), (knee, 0.0530),
            (at(0.101, -0.900, 0.000), 0.0510), (at(0.102, -0.960, -0.014), 0.0530),
            (at(0.103, -1.020, -0.020), 0.0500), (at(0.103, -1.100, -0.024), 0.0410),
            (at(0.104, -1.170, -0.026), 0.0350), (ankle, 0.0350), (at(0.104, -1.280, -0.045), 0.0350),
        ),
        chain((at(0.104, -1.235, -0.010), 0.034), (at(0.112, -1.272, 0.050), 0.031), (at(0.117, -1.292, 0.100), 0.026)),
        chain((at(0.106, -1.288, -0.046), 0.031), (at(0.116, -1.292, 0.020), 0.028), (at(0.120, -1.296, 0.080), 0.028)),
        chain((at(0.108, -1.294, 0.080), 0.028), (at(0.109, -1.300, 0.140), 0.019)),
        chain((at(0.126, -1.296, 0.040), 0.026), (at(0.140, -1.302, 0.085), 0.022), (at(0.144, -1.306, 0.112), 0.015)),
        chain((at(0.124, -1.298, 0.090), 0.024), (at(0.127, -1.304, 0.130), 0.017)),
    ]  # fmt: skip


def trunk_ring(row: tuple) -> np.ndarray:
    """Return a section of the trunk, starting in front and turning to the left."""
    height, breadth, depth, middle, rise = row
    angles = np.arange(COLUMNS) * 2 * np.pi / COLUMNS
    return frame_ring(np.array([0, height, middle]), np.array([0, rise, depth]), np.array([breadth, 0, 0]), angles)


def build_trunk(mesh: Mesh) -> tuple[Loop, list[Loop], list[Loop]]:
    """Grow the trunk downwards; return its neck loop, the arm sockets and the leg loops (left, right)."""
    low, high = SOCKET
    centres = (COLUMNS // 4, 3 * COLUMNS // 4)
    inner = {(c + i) % COLUMNS for c in centres for i in (-1, 0, 1)}
    rows = []
    for number, row in enumerate(TRUNK_ROWS):
        kept = [c for c in range(COLUMNS) if not (low < number < high and c in inner)]
        rows.append(dict(zip(kept, mesh.add(trunk_ring(row)[kept], "trunk"), strict=True)))
    for number in range(len(rows) - 1):
        above, below = rows[number], rows[number + 1]
        for c in range(COLUMNS):
            d = (c + 1) % COLUMNS
            if low <= number < high and (c in inner or d in inner):
                continue
            mesh.faces += [(above[c], below[c], below[d]), (above[c], below[d], above[d])]
    return [rows[0][c] for c in range(COLUMNS)], [socket(rows, c) for c in centres], legs(mesh, rows[-1])


def socket(rows: list[dict[int, int]], centre: int) -> Loop:
    """Return the loop of an arm socket, counter-clockwise seen from outside."""
    low, high = SOCKET
    left, right = centre - 2, centre + 2
    below = [rows[high][c] for c in range(left, right + 1)]
    rise = [rows[r][right] for r in range(high - 1, low, -1)]
    above = [rows[low][c] for c in range(right, left - 1, -1)]
    fall = [rows[r][left] for r in range(low + 1, high)]
    return below + rise + above + fall


def legs(mesh: Mesh, bottom: dict[int, int]) -> list[Loop]:
    """Bridge the crotch and return the loops of the left and the right leg, counter-clockwise from below."""
    half = COLUMNS // 2
    bridge = mesh.add(np.array([[0, -0.485, z] for z in (-0.045, -0.010, 0.025)]), "trunk")
    left = [bottom[c] for c in range(half, -1, -1)] + bridge[::-1]
    right = [bottom[c % COLUMNS] for c in range(2 * half, half - 1, -1)] + bridge
    return [left, right]


def arm_rings(sign: int) -> list[np.ndarray]:
    """Return the rings of an arm from the shoulder to just before the wrist."""
    shoulder, wrist = np.array(LEFT_SIDE["shoulder"]), np.array(LEFT_SIDE["wrist"])
    elbow = np.array(LEFT_SIDE["elbow"])
    angles = np.arange(16) * np.pi / 8
    rings = []
    for x in np.linspace(0.190, wrist[0] - 0.014, ARM_ROWS):
        centre = np.array(
            [
                np.interp(x, [shoulder[0], elbow[0], wrist[0]], [p[i] for p in (shoulder, elbow, wrist)])
                for i in range(3)
            ]
        )
        radius = np.interp(x, [0.19, 0.43, 0.50, 0.69], [0.056, 0.038, 0.038, 0.026])
        ring = frame_ring(centre, np.array([0, radius, 0]), np.array([0, 0, radius]), angles)
        rings.append(ring if sign > 0 else (ring * [-1, 1, 1])[::-1])
    return rings


def leg_rings(sign: int) -> list[np.ndarray]:
    """Return the rings of a leg: down to the ankle, around the heel, along the foot."""
    hip, knee, ankle = (np.array(LEFT_SIDE[name]) for name in ("hip", "knee", "ankle"))
    angles = np.arange(20) * np.pi / 10
    rings = []
    right, front = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    for y in np.linspace(-0.500, -1.225, LEG_ROWS - 22):
        centre = np.array([np.interp(-y, [0.44, 0.845, 1.235], [p[i] for p in (hip, knee, ankle)]) for i in range(3)])
        radius = np.interp(-y, [0.5, 0.62, 0.845, 0.95, 1.10, 1.235], [0.082, 0.072, 0.053, 0.053, 0.038, 0.035])
        centre[1] = y
        rings.append(frame_ring(centre, radius * right, radius * front, angles))
    pivot = np.array([0.107, -1.232, 0.022])
    for turn in np.linspace(0.12, 1, 10) * np.pi / 2:
        away = -np.cos(turn) * front - np.sin(turn) * np.array([0, 1.0, 0])
        reach = np.interp(turn, [0, 0.7, np.pi / 2], [0.085, 0.125, 0.09])
        rings.append(frame_ring(pivot + away * reach / 2, 0.034 * right, -away * reach / 2, angles))
    for z in np.linspace(0.035, 0.158, 12):
        height = np.interp(z, [0.03, 0.1, 0.158], [0.080, 0.048, 0.018])
        breadth = np.interp(z, [0.03, 0.1, 0.135, 0.158], [0.036, 0.047, 0.042, 0.022])
        centre = np.array([np.interp(z, [0.03, 0.1, 0.158], [0.108, 0.120, 0.116]), SOLE + height / 2, z])
        rings.append(frame_ring(centre, breadth * right, np.array([0, height / 2, 0]), angles))
    return rings if sign > 0 else [(ring * [-1, 1, 1])[::-1] for ring in rings]


def build_body(mesh: Mesh, hands: list[Loop], neck: Loop, settled: bool = False) -> None:
    """Grow the body into a mesh that holds the hands and the head already, and join all of them.

    `settled` says that the places of the points will come from elsewhere: only the faces count.
    """
    first = len(mesh.points)
    top, sockets, hips = build_trunk(mesh)
    mesh.bridge(top, neck)
    for sign, side, start, hand in zip((1, -1), ("left", "right"), sockets, hands, strict=True):
        mesh.bridge(mesh.tube(start, arm_rings(sign), f"{side}_arm"), hand)
    for sign, side, start in zip((1, -1), ("left", "right"), hips, strict=True):
        last = mesh.tube(start, leg_rings(sign), f"{side}_leg")
        toe = mesh.add(np.array([[sign * 0.116, SOLE + 0.009, 0.163]]), f"{side}_leg")
        mesh.fan(last, toe[0])
    split_edges(mesh, first + BODY_VERTICES, np.arange(len(mesh.points)) >= first)
    if not settled:
        relax(mesh, body_solid(), np.arange(len(mesh.points)) >= first, rounds=14, pull=0.5)
