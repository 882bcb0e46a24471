"""Whether the hands of a unit are stored as they should be: the commonest silent mistake of hand labels.

Hand poses are absolute in ehps (zero is a flat hand). A converter that forgets the mean hand of a source, adds it
twice, or takes the right hand from the left hand's columns still writes plausible numbers. So some people of each unit
(SMPL-X, SMPL-H, or MANO hands on the wrists of their 3D keypoints) are posed as stored and under three other readings,
and the 2D and the 3D hand points of the source say, each for itself, which reading fits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from ..body.hands import HAND_MEANS
from ..shards.record import Camera, Person
from .batch import Outcome, project_people
from .bodies import Bodies, is_posable, joints_of
from .checks import HAND_POINTS, HAND_READINGS, MAX_HAND_PEOPLE, MIN_HAND_POINTS, HandVerdict, hand_verdict
from .columns import Columns
from .mano_hands import hung_hands


@dataclass
class HandSample:
    """The first people of a unit whose hands can be judged."""

    people: list[Person] = field(default_factory=list)
    cameras: list[Camera] = field(default_factory=list)
    sizes: list[np.ndarray] = field(default_factory=list)
    keypoints: list[np.ndarray] = field(default_factory=list)
    keypoints_3d: list[np.ndarray] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Take suitable people of a batch until there are enough."""
        crowd = outcome.crowd
        for row in outcome.accepted:
            if len(self.people) >= MAX_HAND_PEOPLE:
                return
            own = crowd.keypoints[row], crowd.keypoints_3d[row]
            if _is_suitable(crowd.people[row], *own):
                # Without the mesh, which the sample does not need, it stays a few megabytes.
                self.people.append(replace(crowd.people[row], vertices=None))
                self.cameras.append(crowd.cameras[row])
                self.sizes.append(crowd.sizes[row])
                self.keypoints.append(own[0])
                self.keypoints_3d.append(own[1])

    def verdicts(self, bodies: Bodies) -> dict[str, HandVerdict]:
        """Return how well the hands fit their ``2d`` and ``3d`` keypoints under each reading, where they have any."""
        if not self.people:
            return {}
        times = len(HAND_READINGS)
        people = [_READ[name](person) for name in HAND_READINGS for person in self.people]
        joints = _hand_joints(people, np.stack(self.keypoints_3d * times), bodies)
        pixels = project_people(joints, self.cameras * times, np.stack(self.sizes * times))
        found = {
            "2d": hand_verdict(_by_reading(pixels), np.stack(self.keypoints)),
            "3d": hand_verdict(_by_reading(joints), np.stack(self.keypoints_3d)),
        }
        return {name: verdict for name, verdict in found.items() if verdict.people}


def _by_reading(points: np.ndarray) -> dict[str, np.ndarray]:
    """Return the points of each reading, which lie one after the other."""
    return dict(zip(HAND_READINGS, np.split(points, len(HAND_READINGS)), strict=True))


def _hand_joints(
    people: list[Person], keypoints_3d: Float[np.ndarray, "people 144 4"], bodies: Bodies
) -> Float[np.ndarray, "people 144 3"]:
    """Return the joints of bodies, and of hands without one; a hand without betas takes the mean shape."""
    columns = Columns(people)
    joints = joints_of(columns, bodies)
    return np.where(np.isnan(joints), hung_hands(columns, keypoints_3d, bodies, of_mean_shape=True), joints)


def _is_suitable(person: Person, keypoints: np.ndarray, keypoints_3d: np.ndarray) -> bool:
    """Return whether a person has a posable hand with enough points of it in 2D or 3D."""
    poses = {"left": person.left_hand_pose, "right": person.right_hand_pose}
    return any(
        pose is not None
        and (is_posable(person) or (person.body_model == "mano" and keypoints_3d[HAND_POINTS[side][0], 3] > 0))
        and max(_marked(keypoints, side), _marked(keypoints_3d, side)) >= MIN_HAND_POINTS
        for side, pose in poses.items()
    )


def _marked(keypoints: np.ndarray, side: str) -> int:
    """Return how many points of a hand's fingers are labelled."""
    return int((keypoints[list(HAND_POINTS[side][1:]), -1] > 0).sum())


def _with_mean(person: Person, times: float) -> Person:
    """Return a person with the mean hand added to (or, negative, taken from) each labelled hand."""
    poses = {"left": person.left_hand_pose, "right": person.right_hand_pose}
    moved = {f"{s}_hand_pose": pose + times * HAND_MEANS[s] for s, pose in poses.items() if pose is not None}
    return replace(person, **moved)


def _swapped(person: Person) -> Person:
    """Return a person whose hands have changed places, as when a converter mixes up two slices."""
    return replace(
        person,
        left_hand_pose=person.right_hand_pose,
        right_hand_pose=person.left_hand_pose,
        left_hand_orient=person.right_hand_orient,
        right_hand_orient=person.left_hand_orient,
    )


_READ: dict[str, Callable[[Person], Person]] = {
    "as_stored": lambda person: person,
    "mean_added": lambda person: _with_mean(person, 1.0),
    "mean_removed": lambda person: _with_mean(person, -1.0),
    "swapped": _swapped,
}
