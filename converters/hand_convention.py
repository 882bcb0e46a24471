"""Whether the hands of a unit are stored as they should be: the commonest silent mistake of hand labels.

Hand poses are absolute in ehps (zero is a flat hand). A converter that forgets the mean hand of a source, adds it
twice, or takes the right hand from the left hand's columns still writes plausible numbers. So some people of each unit
are posed as stored and under three other readings, and the 2D hand points of the source say which reading fits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ..body.hands import HAND_MEANS
from ..shards.record import Camera, Person
from .batch import Outcome, project_people
from .bodies import Bodies, is_posable, joints_of
from .checks import HAND_POINTS, HAND_READINGS, MAX_HAND_PEOPLE, MIN_HAND_POINTS, HandVerdict, hand_verdict


@dataclass
class HandSample:
    """The first people of a unit whose hands can be judged."""

    people: list[Person] = field(default_factory=list)
    cameras: list[Camera] = field(default_factory=list)
    sizes: list[np.ndarray] = field(default_factory=list)
    keypoints: list[np.ndarray] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Take suitable people of a batch until there are enough."""
        crowd = outcome.crowd
        for row in outcome.accepted:
            if len(self.people) >= MAX_HAND_PEOPLE:
                return
            if _is_suitable(crowd.people[row], crowd.cameras[row], crowd.keypoints[row]):
                # Without the mesh, which the sample does not need, it stays a few megabytes.
                self.people.append(replace(crowd.people[row], vertices=None))
                self.cameras.append(crowd.cameras[row])
                self.sizes.append(crowd.sizes[row])
                self.keypoints.append(crowd.keypoints[row])

    def verdict(self, bodies: Bodies) -> HandVerdict | None:
        """Return how well the hands fit under each reading; None when nobody can be judged."""
        if not self.people:
            return None
        joints = joints_of([_READ[name](person) for name in HAND_READINGS for person in self.people], bodies)
        times = len(HAND_READINGS)
        pixels = project_people(joints, self.cameras * times, np.stack(self.sizes * times))
        by_reading: dict[str, np.ndarray] = dict(zip(HAND_READINGS, np.split(pixels, times), strict=True))
        verdict = hand_verdict(by_reading, np.stack(self.keypoints))
        return verdict if verdict.people else None


def _is_suitable(person: Person, camera: Camera, keypoints: np.ndarray) -> bool:
    """Return whether a person has a posed SMPL-X hand, a camera and enough 2D points of that hand."""
    if person.body_model != "smplx" or camera.K is None or not is_posable(person):
        return False
    poses = {"left": person.left_hand_pose, "right": person.right_hand_pose}
    marked = {side: (keypoints[list(points[1:]), 2] > 0).sum() for side, points in HAND_POINTS.items()}
    return any(poses[side] is not None and marked[side] >= MIN_HAND_POINTS for side in poses)


def _with_mean(person: Person, times: float) -> Person:
    """Return a person with the mean hand added to (or, negative, taken from) each labelled hand."""
    poses = {"left": person.left_hand_pose, "right": person.right_hand_pose}
    moved = {f"{s}_hand_pose": pose + times * HAND_MEANS[s] for s, pose in poses.items() if pose is not None}
    return replace(person, **moved)


def _swapped(person: Person) -> Person:
    """Return a person whose hands have changed places, as when a converter mixes up two slices."""
    return replace(person, left_hand_pose=person.right_hand_pose, right_hand_pose=person.left_hand_pose)


_READ: dict[str, Callable[[Person], Person]] = {
    "as_stored": lambda person: person,
    "mean_added": lambda person: _with_mean(person, 1.0),
    "mean_removed": lambda person: _with_mean(person, -1.0),
    "swapped": _swapped,
}
