"""What stand-ins wear: colours per vertex that differ from person to person, drawn from a random generator."""

from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float

from .folder import standin_dir

Colors = Float[np.ndarray, "vertices 3"]
Cover = Float[np.ndarray, " vertices"]  # 1 where covered, 0 where bare, between at the edge
SKINS = ((0.96, 0.80, 0.69), (0.90, 0.72, 0.58), (0.80, 0.60, 0.46), (0.62, 0.44, 0.33), (0.45, 0.31, 0.23))
HAIRS = (
    (0.10, 0.08, 0.07),
    (0.22, 0.14, 0.09),
    (0.38, 0.25, 0.14),
    (0.66, 0.50, 0.28),
    (0.45, 0.20, 0.10),
    (0.55, 0.55, 0.56),
)
SHIRTS = (
    (0.80, 0.24, 0.22), (0.20, 0.42, 0.70), (0.92, 0.91, 0.87), (0.22, 0.50, 0.36), (0.90, 0.70, 0.25),
    (0.17, 0.18, 0.22), (0.55, 0.35, 0.60), (0.45, 0.66, 0.72), (0.86, 0.50, 0.42),
)  # fmt: skip
TROUSERS = ((0.18, 0.24, 0.38), (0.16, 0.16, 0.18), (0.55, 0.49, 0.40), (0.36, 0.38, 0.41), (0.30, 0.34, 0.25))
SHOES = ((0.12, 0.12, 0.13), (0.88, 0.88, 0.88), (0.42, 0.27, 0.17), (0.65, 0.20, 0.20))
IRISES = ((0.26, 0.17, 0.10), (0.24, 0.38, 0.52), (0.30, 0.40, 0.25))


class Wardrobe:
    """The rest-pose coordinates (metres) and parts of a stand-in's vertices, as its folder keeps them."""

    def __init__(self, vertices: Colors, parts: np.ndarray) -> None:
        self.x, self.y, self.z = vertices.T
        self.out = np.abs(self.x)
        self.trunk, self.head, self.inner = (parts == name for name in ("trunk", "head", "inner_head"))
        self.arm, self.leg = np.char.endswith(parts, "_arm"), np.char.endswith(parts, "_leg")
        self.eye = np.char.endswith(parts, "_eye")

    def shirt(self, sleeve: float, hem: float) -> Cover:
        """Return what a shirt covers: the trunk from the neck down to the hem, arms out to the end of the sleeve."""
        neck = np.minimum(0.090 - np.hypot(self.x, self.z + 0.030), self.y - 0.110 + 0.25 * np.maximum(self.z, 0))
        torso = self.trunk * np.minimum(edge(self.y - hem, 0.02), 1 - edge(neck, 0.025))
        return np.maximum(torso, self.arm * edge(sleeve - self.out, 0.02))

    def trousers(self, hem: float) -> Cover:
        """Return what trousers cover: hips and legs down to the hem."""
        return np.maximum(self.trunk * edge(-0.26 - self.y, 0.02), self.leg * edge(self.y - hem, 0.02))

    def shoes(self) -> Cover:
        """Return what shoes cover."""
        return self.leg * edge(np.interp(self.z, [0.0, 0.06], [-1.235, -1.258]) - self.y, 0.012)

    def hair(self, line: float) -> Cover:
        """Return what hair covers: above a line that falls from the forehead over the ears to the nape."""
        low = np.interp(self.z, [-0.10, -0.055, -0.04, 0.010, 0.030, 0.075], [0.195, 0.215, 0.285, 0.290, 0.325, line])
        ear = (self.out > 0.078) & (self.y < 0.300)
        return (self.head & ~ear) * edge(self.y - low, 0.008)

    def brows(self) -> Cover:
        """Return the eyebrows."""
        arch = 0.3005 - 4.0 * (self.out - 0.032) ** 2
        thick = 0.0034 - 3.5 * (self.out - 0.030) ** 2
        along = (self.out > 0.012) & (self.out < 0.053) & (self.z > 0.03)
        return (self.head & along) * edge(thick - np.abs(self.y - arch), 0.002)

    def lips(self) -> Cover:
        """Return the lips."""
        share = np.clip(1 - (self.out / 0.0245) ** 2, 0, 1)
        inside = np.minimum(0.2075 + 0.0085 * share - self.y, self.y - 0.2073 + 0.0105 * share)
        return (self.head & (self.z > 0.072)) * edge(inside, 0.002)

    def iris(self) -> Cover:
        """Return the coloured discs of the eyeballs."""
        return (self.eye & (self.z > 0.0730 + 0.0125 * np.cos(0.40))).astype(float)


@lru_cache(maxsize=2)
def wardrobe(kind: str) -> Wardrobe:
    """Return the wardrobe of `smplx` or `smpl`, read from the stand-in's folder."""
    with np.load(standin_dir() / f"{kind}_parts.npz", allow_pickle=False) as file:
        return Wardrobe(file["vertices"].astype(float), file["parts"])


def standin_vertex_colors(
    kind: Literal["smplx", "smpl"] = "smplx", rng: np.random.Generator | None = None
) -> Float[np.ndarray, "vertices 3"]:
    """Return colours (0..1) of every vertex of a stand-in: skin, hair, shirt, trousers or shorts, shoes, eyes, lips.

    Without a generator everyone looks the same. SMPL and SMPL-H share their vertices, hence `smpl`.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    body = wardrobe(kind)
    skin = pick(rng, SKINS, 0.03)
    hair, shirt, trousers, shoes = (pick(rng, table, 0.04) for table in (HAIRS, SHIRTS, TROUSERS, SHOES))
    colors = np.broadcast_to(skin, (len(body.x), 3)).copy()
    paint(colors, trousers, body.trousers(rng.choice([-1.215, -1.215, -0.74])))
    paint(colors, striped(body, shirt, rng), body.shirt(rng.choice([0.34, 0.34, 0.655]), rng.choice([-0.27, -0.36])))
    paint(colors, shoes, body.shoes())
    paint(colors, hair, body.hair(rng.uniform(0.335, 0.352)))
    paint(colors, 0.6 * hair + 0.25 * skin, body.brows())
    paint(colors, skin * [0.88, 0.62, 0.62], body.lips())
    paint(colors, (0.28, 0.08, 0.09), body.inner)
    paint(colors, (0.95, 0.95, 0.95), body.eye)
    paint(colors, pick(rng, IRISES, 0.02), body.iris())
    return np.clip(colors, 0, 1)


def edge(distance: np.ndarray, width: float) -> Cover:
    """Return 0 outside and 1 inside of an edge at distance 0, with a ramp `width` metres wide."""
    return np.clip(distance / width + 0.5, 0, 1)


def paint(colors: Colors, color: tuple | np.ndarray, cover: np.ndarray) -> None:
    """Lay a colour over the vertices that are covered, in place."""
    colors += np.asarray(cover, float)[:, None] * (np.asarray(color) - colors)


def pick(rng: np.random.Generator, table: tuple, spread: float) -> Float[np.ndarray, "3"]:
    """Return a random colour of a table, a little lighter or darker and a trace off its hue."""
    color = np.array(table[rng.integers(len(table))])
    return np.clip(color * (1 + 2 * rng.normal(0, spread)) + rng.normal(0, spread / 4, 3), 0.03, 1)


def striped(body: Wardrobe, color: np.ndarray, rng: np.random.Generator) -> Colors:
    """Return a shirt's colour for every vertex: plain or, one time in three, with stripes around the chest."""
    colors = np.broadcast_to(color, (len(body.x), 3)).copy()
    if rng.random() < 0.33:
        colors[np.where(body.arm, body.out, body.y + 0.3) % 0.12 < 0.06] = pick(rng, SHIRTS, 0.04)
    return colors
