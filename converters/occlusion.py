"""How much of a person other labelled people of the same picture hide.

A body's silhouette is drawn from its own joints: a capsule around each bone, as thick as that part of an adult.
A joint is hidden where it lies inside a capsule of somebody whose bone is nearer to the camera there.
Pixels are those of the stored picture, depths are metres of camera space.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ..body.joints import NUM_BODY_JOINTS, SMPLX_INDEX
from .boxes import inside, picture_boxes, tight_boxes

# Half the thickness (m) of each bone of an adult; breadth of the trunk comes from the lines of both sides.
_BONES: tuple[tuple[str, str, float], ...] = (
    ("pelvis", "neck", 0.12),
    ("neck", "head", 0.09),
    ("left_shoulder", "right_shoulder", 0.08),
    *((f"{side}_{a}", f"{side}_{b}", radius) for side in ("left", "right") for a, b, radius in (
        ("hip", "shoulder", 0.09), ("hip", "knee", 0.08), ("knee", "ankle", 0.055), ("ankle", "foot", 0.05),
        ("shoulder", "elbow", 0.05), ("elbow", "wrist", 0.04),
    )),
)  # fmt: skip
_FROM: Int[np.ndarray, "bones"] = np.array([SMPLX_INDEX[a] for a, _, _ in _BONES])
_TO: Int[np.ndarray, "bones"] = np.array([SMPLX_INDEX[b] for _, b, _ in _BONES])
_RADIUS: Float[np.ndarray, "bones"] = np.array([radius for _, _, radius in _BONES])
_HEAD = [name == "head" for _, name, _ in _BONES].index(True)
_PAIRS_AT_A_TIME = 512  # 22 joints x 15 bones of each pair: a few megabytes


class _Capsules(NamedTuple):
    """The bones of people in their pictures."""

    start: Float[np.ndarray, "people bones 2"]  # px
    end: Float[np.ndarray, "people bones 2"]
    radii: Float[np.ndarray, "people bones 2"]  # px, at start and end
    depths: Float[np.ndarray, "people bones 2"]  # m, at start and end


def occlusion(
    pixels: Float[np.ndarray, "people 144 2"],
    joints: Float[np.ndarray, "people 144 3"],
    focals: Float[np.ndarray, " people"],
    sizes: Float[np.ndarray, "people 2"],
    pictures: Int[np.ndarray, " people"],
    has_depth: Bool[np.ndarray, " people"],
) -> Float[np.ndarray, " people"]:
    """Return the share of each person's visible body joints that others hide; 0 when they are there and hide none.

    ``pictures`` numbers the picture of each person (ascending), ``focals`` are in px, ``has_depth`` tells whose depth
    can be compared with that of others. NaN for a person who is alone, has no body joint in the picture, or whose
    depth or that of somebody else in the picture is not known.
    """
    body = slice(0, NUM_BODY_JOINTS)
    known = has_depth & np.isfinite(pixels[:, body, 0]).all(axis=1) & np.isfinite(focals)
    totals, known_ones = np.bincount(pictures), np.bincount(pictures, known)
    measured = known & (totals == known_ones)[pictures] & (totals > 1)[pictures]
    visible = inside(pixels[:, body], picture_boxes(sizes)) & measured[:, None]
    hidden = np.zeros(visible.shape, bool)
    capsules = _capsules(pixels, joints, focals)
    for near, far in _overlapping(pixels[:, body], capsules, pictures, measured):
        covered = _covered(pixels[far][:, body], joints[far][:, body, 2], _Capsules(*(part[near] for part in capsules)))
        np.logical_or.at(hidden, far, covered)
    seen = visible.sum(axis=1)
    return np.where(seen > 0, (hidden & visible).sum(axis=1) / np.maximum(seen, 1), np.nan)


def _capsules(pixels: np.ndarray, joints: np.ndarray, focals: np.ndarray) -> _Capsules:
    """Return everyone's bones; the one of the head goes on to the crown."""
    start, end = pixels[:, _FROM], pixels[:, _TO].copy()
    depths = np.stack([joints[:, _FROM, 2], joints[:, _TO, 2]], axis=2)
    end[:, _HEAD] += end[:, _HEAD] - start[:, _HEAD]
    with np.errstate(divide="ignore", invalid="ignore"):
        radii = _RADIUS[:, None] * focals[:, None, None] / depths
    return _Capsules(start, end, radii, depths)


def _overlapping(points: np.ndarray, capsules: _Capsules, pictures: np.ndarray, measured: np.ndarray):
    """Yield (rows of who may hide, rows of who may be hidden), some pairs at a time: their boxes overlap."""
    firsts = np.searchsorted(pictures, pictures)
    counts = np.where(measured, np.bincount(pictures)[pictures], 0)
    far = np.repeat(np.arange(len(pictures)), counts)
    near = np.repeat(firsts - np.cumsum(counts) + counts, counts) + np.arange(len(far))
    own = tight_boxes(points)
    reach = capsules.radii.max(axis=(1, 2), initial=0.0)[:, None]
    ends = tight_boxes(np.concatenate([capsules.start, capsules.end], axis=1))
    low, high = ends[:, :2] - reach, ends[:, 2:] + reach
    meet = (low[near] <= own[far, 2:]).all(axis=1) & (high[near] >= own[far, :2]).all(axis=1) & (near != far)
    near, far = near[meet], far[meet]
    for begin in range(0, len(near), _PAIRS_AT_A_TIME):
        part = slice(begin, begin + _PAIRS_AT_A_TIME)
        yield near[part], far[part]


def _covered(
    points: Float[np.ndarray, "pairs points 2"], depths: Float[np.ndarray, "pairs points"], capsules: _Capsules
) -> Bool[np.ndarray, "pairs points"]:
    """Return which points lie in a capsule that is nearer than they are."""
    start, end = capsules.start[:, None], capsules.end[:, None]
    x, y = points[:, :, None, 0] - start[..., 0], points[:, :, None, 1] - start[..., 1]
    along_x, along_y = end[..., 0] - start[..., 0], end[..., 1] - start[..., 1]
    length = np.maximum(along_x * along_x + along_y * along_y, 1e-9)
    share = np.clip((x * along_x + y * along_y) / length, 0, 1)
    x, y = x - share * along_x, y - share * along_y
    radius, depth = (
        ends[:, None, :, 0] + share * (ends[:, None, :, 1] - ends[:, None, :, 0])
        for ends in (capsules.radii, capsules.depths)
    )
    return np.any((x * x + y * y <= radius * radius) & (depth < depths[:, :, None]), axis=2)
