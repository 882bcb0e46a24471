"""One model under one protocol: stream the people, score, keep predictions, write the result."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, runtime_checkable
from typing import Protocol as Interface

from ..shards.reader import iter_shards
from .comparison import compare
from .interface import BenchmarkPerson, Predicted
from .kept import Keeper
from .people import benchmark_people, shard_fingerprint
from .protocol import Protocol
from .results import ModelFacts, RunFacts, make_result, result_path, write_result
from .scoring import score_points

_OTHER_WAYS = {
    "matching": "it asks for everyone in a picture, without boxes (ehps score)",
    "hidden": "its truth lies on the owner's server (ehps submit)",
    "keypoints_2d": "it compares points in the picture (ehps score)",
    "template": "it compares shapes without a pose (ehps score)",
}


@runtime_checkable  # tests check annotations
class Model(Interface):
    """What is benchmarked: a model that says where it comes from, such as ``training.predictor.Predictor``."""

    @property
    def name(self) -> str:
        """Its name in tables."""
        ...

    @property
    def revision(self) -> str:
        """Which weights these are."""
        ...

    @property
    def trained_on(self) -> Sequence[str]:
        """The data sets it was trained on."""
        ...

    @property
    def finetuned_on(self) -> Sequence[str]:
        """Those of them that came last, after the weights it started from."""
        ...

    @property
    def training_people(self) -> int | None:
        """How many different people they hold; None where nobody knows."""
        ...

    @property
    def network_parameters(self) -> int:
        """How many weights it has."""
        ...

    def __call__(self, people: Sequence[BenchmarkPerson]) -> Sequence[Predicted | None]:
        """Return what it predicts for some people."""
        ...


def not_scored(protocol: Protocol, catalog: Path) -> str | None:
    """Return why a model cannot be run under a protocol here; None when it can."""
    why = _OTHER_WAYS.get(protocol.ground_truth) or (_OTHER_WAYS["matching"] if protocol.matching else None)
    if why is None and not list(iter_shards(catalog, protocol.dataset, protocol.split)):
        return f"nobody of {protocol.dataset} {protocol.split} in {catalog}"
    return why


def model_facts(model: Model, **more: Any) -> ModelFacts:
    """Return what a model says of itself; ``more`` are other fields of ``ModelFacts``."""
    return ModelFacts(
        model=model.name,
        revision=model.revision,
        trained_on=tuple(model.trained_on),
        finetuned_on=tuple(model.finetuned_on),
        network_parameters=model.network_parameters,
        training_people=model.training_people,
        **more,
    )


def run_protocol(
    model: Model,
    protocol: Protocol,
    catalog: Path,
    model_dir: Path,
    out: Path,
    *,
    keeps_predictions: bool = True,
    advance: Callable[[int], None] | None = None,
    **more: Any,
) -> Path:
    """Score a model under a protocol that can be run (``not_scored``) and return the path of the result's JSON.

    ``more`` are fields of ``ModelFacts`` that the model does not know of itself; ``advance`` is told how many people
    were predicted, again and again.
    """
    facts = RunFacts(**model_facts(model, **more).model_dump(), shard_fingerprint=shard_fingerprint(catalog, protocol))
    with Keeper(result_path(out, facts.model, facts.revision, protocol.id)) as keeper:
        predict = keeper.watch(model) if keeps_predictions else model

        def counted(batch: Sequence[BenchmarkPerson]) -> Sequence[Predicted | None]:
            answers = predict(batch)
            if advance is not None:
                advance(len(batch))
            return answers

        people = score_points(counted, benchmark_people(catalog, protocol), protocol, compare(protocol, model_dir))
        return write_result(make_result(people, protocol, facts), people, out, keeper)
