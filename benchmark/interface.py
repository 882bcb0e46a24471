"""What a model gets from the benchmark and what it gives back.

A model reaches the benchmark as a callable from a list of people to a list of meshes; ``None`` says that it found
nobody in the box, which is counted as missing. Meshes are in camera space (OpenCV), metres; no measure looks at where
in space a mesh stands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True, eq=False)
class BenchmarkPerson:
    """One person whom a protocol asks about. A model sees image, box and K; the rest is the truth."""

    person_key: str
    sequence: str  # frames of one sequence are not independent: confidence intervals resample sequences
    image: Callable[[], np.ndarray]  # the stored picture, (height, width, 3) uint8 RGB
    bbox_xyxy: Float[np.ndarray, "4"]  # px of the stored picture, enlarged as the protocol says
    K: Float[np.ndarray, "3 3"] | None = None
    vertices: Float[np.ndarray, "vertices 3"] | None = None
    parameters: Mapping[str, np.ndarray] | None = None  # names of smplx, without the people axis
    gender: str | None = None  # of the body that the parameters belong to
    kid_weight: float | None = None  # of the kid's template behind the betas; None: an adult
    keypoints_3d: Float[np.ndarray, "points_3d 4"] | None = None  # m, camera space, confidence
    keypoints_3d_convention: str | None = None
    keypoints_2d: Float[np.ndarray, "points_2d 3"] | None = None  # px of the stored picture, confidence
    keypoints_2d_convention: str | None = None
    size: tuple[int, int] | None = None  # (width, height) of the stored picture, px
    picture: str = ""  # key of the frame: people of one picture share it
    track: str | None = None  # the same body over the pictures of one camera; None: nobody knows who it was before
    frame_index: int | None = None  # of the picture in its sequence
    has_body: bool = True
    has_left_hand: bool = True
    has_right_hand: bool = True
    has_face: bool = True

    @property
    def box_height(self) -> float:
        """Return the height of the box (px)."""
        return float(self.bbox_xyxy[3] - self.bbox_xyxy[1])


@runtime_checkable
class Predicted(Protocol):
    """Anything that has a mesh, such as the people whom ``training.predictor`` poses."""

    @property
    def vertices(self) -> Float[np.ndarray, "vertices space"]:
        """The mesh (camera space, m), or points where the benchmark is told which."""
        ...


@runtime_checkable
class PredictedPose(Protocol):
    """A prediction that says by which pose its mesh came about."""

    @property
    def parameters(self) -> Mapping[str, np.ndarray]:
        """Parameters by the names of smplx, axis-angle: ``global_orient`` and ``body_pose`` at least."""
        ...


@dataclass(frozen=True, eq=False)
class PersonPrediction:
    """What a model predicts for one person: a mesh, or points where the benchmark is told which (``predictions``)."""

    vertices: Float[np.ndarray, "vertices space"]
    orientations: Float[np.ndarray, "9 3 3"] | None = None  # in camera space, of ``orientations.CHALLENGE_JOINTS``


Predict = Callable[[Sequence[BenchmarkPerson]], Sequence[Predicted | None]]
Pose = Callable[[Sequence[BenchmarkPerson]], Float[np.ndarray, "people points 3"]]
