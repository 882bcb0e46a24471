"""Image features of a sample of every source: what the encoder of a checkpoint makes of people, pooled.

People are drawn with a fixed seed from each source and split, cut as the network reads them (no augmentation), and the
192 patch tokens behind the encoder's last norm are averaged. ``shards/analyses/feature_files.py`` has the files.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from .. import __version__
from ..errors import ShardError
from ..shards.analyses.feature_files import FeatureFacts, Features, feature_path, read_facts, why_stale, write_features
from ..shards.analyses.samples import generator
from ..shards.catalog_files import Partition, read_state
from ..shards.digest import file_digest
from ..shards.reader import PeopleIndex
from ..training.augment import NO_AUGMENTATION
from ..training.batches import float_images
from ..training.crops import crop_box, padded_box
from ..training.predictor import Predictor, load_predictor
from ..training.run_record import checkpoint_of
from ..training.samples import SampleSettings, affine_of, cut_into

PEOPLE = 512  # of a source and split
BATCH_SIZE = 16

Crop = UInt8[np.ndarray, "3 height width"]


class Made(NamedTuple):
    """What became of one source and split."""

    dataset: str
    split: str
    people: int
    state: str  # made, kept or no pictures
    path: Path | None


def make_features(
    catalog: Path,
    checkpoint: Path,
    *,
    people: int = PEOPLE,
    datasets: Sequence[str] | None = None,
    device: str = "auto",
    threads: int = 4,
    num_heads: int | None = None,
) -> Iterator[Made]:
    """Make the features of every source and split that has none, or stale ones; yield what became of each.

    ``datasets`` are ids of sources, None for all. Files that are current and of as many people are kept, so that an
    interrupted call continues where it stopped. ShardError where there is no catalog, or a source is not in it.
    """
    chosen = _chosen(catalog, datasets)
    path = checkpoint_of(checkpoint)
    blake3, index = file_digest(path), PeopleIndex.open(catalog)
    predictor = load_predictor(path, device, num_heads=num_heads)
    for partition in chosen:
        facts = FeatureFacts(
            model=predictor.name,
            revision=predictor.revision,
            checkpoint=blake3,
            dataset=partition.dataset,
            split=partition.split,
            shards=partition.fingerprint,
            asked=people,
            ehps_version=__version__,
        )
        yield _kept(catalog, facts, partition) or _made(catalog, facts, index, predictor, threads)


def _chosen(catalog: Path, datasets: Sequence[str] | None) -> list[Partition]:
    """Return the partitions of some sources, or all."""
    state = read_state(catalog)
    if state is None:
        raise ShardError(catalog, "there is no catalog of this version of ehps here", "run ehps catalog first")
    known = sorted({partition.dataset for partition in state.partitions})
    if strange := sorted(set(datasets or ()) - set(known)):
        raise ShardError(catalog, f"has no source {strange[0]!r}; it has {', '.join(known)}")
    return [
        partition for partition in state.partitions if partition.people and partition.dataset in (datasets or known)
    ]


def _kept(catalog: Path, facts: FeatureFacts, partition: Partition) -> Made | None:
    """Return the features that are there already and as good as new ones."""
    path = feature_path(catalog, facts.name, facts.dataset, facts.split)
    if not path.is_file():
        return None
    found = read_facts(path)
    if why_stale(found, partition) or found.asked != facts.asked:
        return None
    return Made(facts.dataset, facts.split, found.people, "kept", path)


def _made(catalog: Path, facts: FeatureFacts, index: PeopleIndex, predictor: Predictor, threads: int) -> Made:
    """Return the features of a source and split, which are written now."""
    ids = draw_people(index, facts.dataset, facts.split, facts.asked)
    if not len(ids):
        return Made(facts.dataset, facts.split, 0, "no pictures", None)
    keys, numbers = features_of(index, ids, predictor, threads)
    path = write_features(catalog, Features(keys, numbers, replace(facts, people=len(keys))))
    return Made(facts.dataset, facts.split, len(keys), "made", path)


def draw_people(index: PeopleIndex, dataset: str, split: str, count: int) -> np.ndarray:
    """Return the ids, in order, of at most ``count`` people of a source and split, drawn with the fixed seed.

    Who has no picture, or no box that shows any of it, is passed over.
    """
    ids = index.ids(dataset, split)
    order = generator(dataset, split, "features").permutation(len(ids))
    chosen: list[int] = []
    for place in order.tolist():
        if len(chosen) == count:
            break
        if _is_seen(index, int(ids[place])):
            chosen.append(int(ids[place]))
    return np.sort(np.array(chosen, np.int64))


def _is_seen(index: PeopleIndex, person_id: int) -> bool:
    """Return whether somebody has a picture and a box in it."""
    seen = index.seen(person_id)
    if seen.bbox_xyxy is None or crop_box(padded_box(seen.bbox_xyxy), seen.width, seen.height) is None:
        return False
    return index.load(person_id).frame.has_picture


def features_of(
    index: PeopleIndex, ids: np.ndarray, predictor: Predictor, threads: int = 4
) -> tuple[list[str], Float32[np.ndarray, "people numbers"]]:
    """Return the keys and the pooled features of people."""
    settings = SampleSettings(quirks=predictor.network.quirks)
    keys: list[str] = []
    pooled: list[np.ndarray] = []
    with ThreadPoolExecutor(threads, "cut") as pool:
        for start in range(0, len(ids), BATCH_SIZE):
            found = list(pool.map(_cutter(index, settings), ids[start : start + BATCH_SIZE].tolist()))
            keys += [key for key, _ in found]
            pooled.append(_pooled(np.stack([crop for _, crop in found]), predictor))
    return keys, np.concatenate(pooled)


def _cutter(index: PeopleIndex, settings: SampleSettings) -> Callable[[int], tuple[str, Crop]]:
    """Return what cuts out one person as a network reads people."""

    def cut(person_id: int) -> tuple[str, Crop]:
        person: Any = index.load(person_id)
        crop = np.empty((3, settings.size[1], settings.size[0]), np.uint8)
        cut_into(crop, person, affine_of(person, NO_AUGMENTATION, settings), NO_AUGMENTATION, settings)
        return person.person_key, crop

    return cut


@torch.inference_mode()
def _pooled(
    crops: UInt8[np.ndarray, "batch 3 height width"], predictor: Predictor
) -> Float32[np.ndarray, "batch numbers"]:
    """Return the mean of the encoder's feature map of each crop."""
    network = predictor.network
    images = network.prepare(float_images(torch.from_numpy(crops).to(predictor.device)))
    return network.encoder(images)[0].mean(dim=(2, 3)).float().cpu().numpy()
