"""Models that know the truth and are off by a little, scored on the small tree: results with kept predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ehps.benchmark.interface import BenchmarkPerson
from ehps.benchmark.protocol import load_protocol
from ehps.benchmark.run import run_protocol
from ehps.body.posing import PosingModel, stack_parameters


@dataclass(frozen=True)
class Posed:
    """A posed person, as a predictor answers."""

    vertices: np.ndarray
    parameters: dict[str, np.ndarray]
    K: np.ndarray | None


@dataclass(frozen=True)
class Parrot:
    """A model that repeats the labels with noise on every joint, and does not answer the first person."""

    name: str
    noise: float  # rad
    body: PosingModel
    revision: str = "r1"
    trained_on: Sequence[str] = ("mscoco",)
    finetuned_on: Sequence[str] = ()
    training_people: int | None = 1234
    network_parameters: int = 5_000_000

    def __call__(self, people: Sequence[BenchmarkPerson]) -> list[Posed | None]:
        return [None if person.person_key.endswith("000000#0") else self._answer(person) for person in people]

    def _answer(self, person: BenchmarkPerson) -> Posed:
        rng = np.random.default_rng([ord(letter) for letter in self.name + person.person_key])
        parameters = {name: np.asarray(value, np.float64) for name, value in (person.parameters or {}).items()}
        parameters["body_pose"] = parameters["body_pose"] + rng.normal(0, self.noise, (21, 3))
        vertices = self.body.vertices(stack_parameters([parameters]))[0]
        return Posed(vertices, parameters, person.K)


def write_scored(catalog: Path, standin: Path, out: Path) -> Path:
    """Score two models under BEDLAM's protocol, and a third that keeps no predictions; return the folder."""
    body, protocol = PosingModel.load(standin, num_betas=11), load_protocol("bedlam_val")
    for name, noise, keeps in (("near", 0.05, True), ("far", 0.3, True), ("silent", 0.4, False)):
        run_protocol(Parrot(name, noise, body), protocol, catalog, standin, out, keeps_predictions=keeps, study="toys")
    return out
