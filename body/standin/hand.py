"""The stand-in's left hand: 778 vertices, open at the wrist along a loop of 16; metres, relative to the wrist."""

from itertools import pairwise

import numpy as np

from .mesh import Loop, Mesh, frame_ring, relax, split_edges
from .skeleton import LEFT_FINGERS
from .solid import Solid, round_cone

HAND_VERTICES, WRIST_LOOP = 778, 16
WRIST_HALF_AXES = (0.0200, 0.0275)  # height and breadth of the wrist, metres
# Radii of a finger at its three joints and near its tip, metres.
RADII = {
    "index": (0.0100, 0.0090, 0.0080, 0.0070),
    "middle": (0.0100, 0.0092, 0.0082, 0.0072),
    "ring": (0.0095, 0.0087, 0.0077, 0.0068),
    "pinky": (0.0085, 0.0075, 0.0068, 0.0060),
    "thumb": (0.0150, 0.0115, 0.0105, 0.0085),
}
FINGER_ROWS = {"index": 10, "middle": 10, "ring": 9, "pinky": 9, "thumb": 9}
# Rows of the palm: distance from the wrist, half breadth towards thumb and little finger, height of the middle.
PALM_ROWS = (
    (0.014, 0.029, 0.030, 0.000),
    (0.030, 0.033, 0.034, -0.001),
    (0.046, 0.036, 0.038, -0.002),
    (0.062, 0.036, 0.042, -0.003),
    (0.084, 0.037, 0.046, -0.003),
    (0.106, 0.037, 0.048, -0.003),
)
ACROSS, HIGH = 12, 3  # cells of a palm section
THUMB_ROWS = (0, 3)  # the thumb leaves between these rows


def hand_solid() -> Solid:
    """Return the flesh of the left hand."""
    cones = [round_cone((-0.04, 0, 0), (0.02, 0, 0), 0.021, 0.021, (1, 1.38, 1))]
    for finger, chain in LEFT_FINGERS.items():
        radii = RADII[finger]
        tip = np.array(chain[3]) - 0.8 * radii[3] * unit(np.subtract(chain[3], chain[2]))
        stops = [*chain[:3], tuple(tip)]
        if finger != "thumb":
            root = (0.012, -0.001, chain[0][2] * 0.55)
            cones.append(round_cone(root, chain[0], 0.0155, radii[0] + 0.002))
        cones += [round_cone(stops[i], stops[i + 1], radii[i], radii[i + 1]) for i in range(3)]
    cones.append(round_cone((0.035, -0.012, 0.018), (0.055, -0.014, 0.034), 0.015, 0.011))
    cones.append(round_cone((0.030, -0.010, -0.020), (0.060, -0.008, -0.032), 0.013, 0.010))
    return Solid(cones, melt=0.0030)


def unit(vector: np.ndarray) -> np.ndarray:
    """Return a vector of length one."""
    return vector / np.linalg.norm(vector)


def wrist_ring() -> np.ndarray:
    """Return the loop at the wrist, counter-clockwise seen from the fingers."""
    angles = np.arange(WRIST_LOOP) * 2 * np.pi / WRIST_LOOP
    up, front = WRIST_HALF_AXES
    return frame_ring(np.zeros(3), np.array([0, up, 0]), np.array([0, 0, front]), angles)


def palm_cells(row: tuple) -> dict[tuple[int, int], np.ndarray]:
    """Return the points of a palm section by (column from thumb to little finger, level from below)."""
    out, front, back, middle = row
    thickness = 0.014
    cells = {}
    for column in range(ACROSS + 1):
        for level in range(HIGH + 1):
            side = front - (front + back) * column / ACROSS
            cells[column, level] = np.array([out, middle + thickness * (2 * level / HIGH - 1), side])
    return cells


def perimeter(first: int, last: int) -> list[tuple[int, int]]:
    """Return the cells around columns first..last, counter-clockwise seen from the fingertips."""
    top = [(c, HIGH) for c in range(last, first - 1, -1)]
    left = [(first, level) for level in range(HIGH - 1, 0, -1)]
    bottom = [(c, 0) for c in range(first, last + 1)]
    right = [(last, level) for level in range(1, HIGH)]
    return top + left + bottom + right


def build_palm(mesh: Mesh, wrist: Loop) -> tuple[list[Loop], Loop]:
    """Grow the palm and return the loops of index, middle, ring and little finger, and that of the thumb."""
    around = perimeter(0, ACROSS)
    low, high = THUMB_ROWS
    grid: list[dict[tuple[int, int], int]] = []
    for number, row in enumerate(PALM_ROWS):
        cells = palm_cells(row)
        hidden = {(0, 1), (0, 2)} if low < number < high else set()
        kept = [cell for cell in around if cell not in hidden]
        if number == len(PALM_ROWS) - 1:
            kept += [(c, level) for c in (3, 6, 9) for level in (1, 2)]
        ids = mesh.add(np.array([cells[cell] for cell in kept]), "left_palm")
        grid.append(dict(zip(kept, ids, strict=True)))
    mesh.bridge(wrist, [grid[0][cell] for cell in around])
    for number, (below, above) in enumerate(pairwise(grid)):
        for a, b in pairwise([*around, around[0]]):
            if a[0] == b[0] == 0 and low <= number < high:
                continue
            mesh.faces += [(below[a], below[b], above[b]), (below[a], above[b], above[a])]
    fingers = [[grid[-1][cell] for cell in perimeter(3 * j, 3 * j + 3)] for j in range(4)]
    return fingers, thumb_loop(grid)


def thumb_loop(grid: list[dict[tuple[int, int], int]]) -> Loop:
    """Return the loop around the hole that the palm leaves for the thumb, counter-clockwise seen from the thumb."""
    low, high = THUMB_ROWS
    wrist_side = [grid[low][0, level] for level in range(HIGH, -1, -1)]
    below = [grid[row][0, 0] for row in range(low + 1, high)]
    far_side = [grid[high][0, level] for level in range(HIGH + 1)]
    above = [grid[row][0, HIGH] for row in range(high - 1, low, -1)]
    return wrist_side + below + far_side + above


def finger_rings(finger: str, start: float) -> list[np.ndarray]:
    """Return rings of 12 points along a finger, from `start` (0 its first joint, 3 its tip)."""
    chain, radii = np.array(LEFT_FINGERS[finger]), RADII[finger]
    rings = []
    for place in np.linspace(start, 2.93, FINGER_ROWS[finger]):
        bone = min(int(place), 2)
        share = place - bone
        centre = chain[bone] + share * (chain[bone + 1] - chain[bone])
        along = unit(chain[bone + 1] - chain[bone])
        up = unit(np.array([0, 1.0, 0]) - along[1] * along)
        radius = radii[bone] + share * (radii[bone + 1] - radii[bone])
        radius *= np.sqrt(max(1 - ((place - 2.6) / 0.4) ** 2, 0.15)) if place > 2.6 else 1
        angles = np.arange(12) * np.pi / 6
        rings.append(frame_ring(centre, radius * up, -radius * np.cross(up, along), angles))
    return rings


def build_hand() -> Mesh:
    """Return the left hand relative to its wrist; its first 16 points are the open loop."""
    mesh = Mesh()
    wrist = mesh.add(wrist_ring(), "left_palm")
    loops, thumb = build_palm(mesh, wrist)
    order = ("index", "middle", "ring", "pinky", "thumb")
    starts = (0.55, 0.50, 0.55, 0.85, 0.75)
    for finger, loop, start in zip(order, [*loops, thumb], starts, strict=True):
        last = mesh.tube(loop, finger_rings(finger, start), f"left_{finger}")
        tip = mesh.add(np.array([LEFT_FINGERS[finger][3]]), f"left_{finger}")
        mesh.fan(last, tip[0])
    free = np.ones(len(mesh.points), bool)
    free[wrist] = False
    split_edges(mesh, HAND_VERTICES, free)
    free = np.arange(HAND_VERTICES) >= WRIST_LOOP
    relax(mesh, hand_solid(), free, rounds=8, pull=0.3)
    return mesh
