"""The stream of training batches."""

import itertools

import numpy as np
import pytest
import torch

from ehps.errors import RecordError
from ehps.shards.reader import PeopleIndex
from ehps.training.augment import NO_AUGMENTATION, NO_RANGE, Augmentation
from ehps.training.batches import CropMemory
from ehps.training.compat import SMPLESTX_RELEASED
from ehps.training.effects import colour_map
from ehps.training.mixture import Member, Mixture, mix
from ehps.training.stream import SampleSettings, Stream, float_images, make_sample

MIXTURE = Mixture(
    name="m",
    about="test",
    strategy="balance",
    epoch_length=48,
    members=(Member(dataset="bedlam"), Member(dataset="ehf", split="test")),
)


@pytest.fixture(scope="module")
def source(converted):
    index = PeopleIndex.open(converted)
    return mix(MIXTURE, converted), index.load


def take(source, count, **options):
    people, load = source
    settings = options.pop("settings", SampleSettings(seed=4))
    stream = Stream(people, load, settings, **{"batch_size": 8} | options)
    return list(itertools.islice(stream, count)), stream


def assert_same(first, second):
    assert first.keys == second.keys
    for a, b in zip((first.crops, *first.targets), (second.crops, *second.targets), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_batches_hold_crops_labels_and_names(source):
    (batch,), stream = take(source, 1)
    assert batch.crops.shape == (8, 3, 256, 192)
    assert batch.crops.dtype == torch.uint8
    assert batch.targets.pose.shape == (8, 53, 3)
    assert batch.validity.joints.shape == (8, 137)
    assert batch.validity.betas.shape == (8,)
    assert batch.validity.joints_3d.shape == (8, 137)
    assert set(batch.members) == {"bedlam", "ehf"}
    assert all(key.startswith(member) for key, member in zip(batch.keys, batch.members, strict=True))
    assert stream.position == 8


def test_threads_change_nothing(source):
    alone, _ = take(source, 5)
    ahead, _ = take(source, 5, workers=3, prefetch=3)
    for first, second in zip(alone, ahead, strict=True):
        assert_same(first, second)


def test_a_stream_continues_at_its_position(source):
    whole, _ = take(source, 6)
    _, stream = take(source, 3, workers=2)
    rest, _ = take(source, 3, position=stream.position)
    for first, second in zip(whole[3:], rest, strict=True):
        assert_same(first, second)


@pytest.mark.parametrize("world_size", [3, 4, 11])
def test_ranks_share_each_batch_without_overlap(source, world_size):
    whole, _ = take(source, 3)
    parts = [take(source, 3, rank=rank, world_size=world_size)[0] for rank in range(world_size)]
    for step, batch in enumerate(whole):
        mine = [part[step] for part in parts]
        order = np.argsort([position for part in mine for position in part.positions])
        assert sorted(position for part in mine for position in part.positions) == list(batch.positions)
        keys = [key for part in mine for key in part.keys]
        assert tuple(keys[i] for i in order) == batch.keys
        torch.testing.assert_close(torch.cat([part.crops for part in mine])[order], batch.crops, rtol=0, atol=0)
        sizes = [len(part.keys) for part in mine]
        assert max(sizes) - min(sizes) <= 1


def test_the_same_person_is_changed_differently_each_time(source):
    batches, _ = take(source, 12)
    crops = {}
    for batch in batches:
        for key, crop in zip(batch.keys, batch.crops, strict=True):
            crops.setdefault(key, []).append(crop)
    several = next(found for found in crops.values() if len(found) > 1)
    assert not torch.equal(several[0], several[1])


def test_a_finite_order_ends_with_its_last_whole_batch(converted):
    once = MIXTURE.model_copy(update={"exhaustion": "renormalise", "strategy": "concat"})
    source = mix(once, converted), PeopleIndex.open(converted).load
    batches, _ = take(source, 99, workers=2)
    assert len(batches) == 2  # 17 people
    assert len(set(batches[0].keys + batches[1].keys)) == 16


def test_labels_lie_on_the_pixels_they_describe(converted):
    """The projected box of the joints must be the box that was cut, padded by 1.2."""
    index = PeopleIndex.open(converted)
    sample = make_sample(index.load(0), NO_AUGMENTATION, SampleSettings(ranges=NO_RANGE))
    seen = sample.targets["joints_grid"][sample.validity["joints"] > 0]
    assert abs(seen.min(axis=0)[1] - 16 * (1 - 1 / 1.2) / 2) < 0.3
    assert abs(seen.max(axis=0)[1] - 16 * (1 + 1 / 1.2) / 2) < 0.3
    assert sample.validity["joints"].mean() > 0.95


def test_compatibility_cuts_the_large_crop(source):
    (batch,), _ = take(source, 1, settings=SampleSettings(quirks=SMPLESTX_RELEASED))
    assert batch.crops.shape == (8, 3, 512, 384)


def test_colours_are_jittered_as_floats_and_clipped():
    crops = torch.tensor([100, 200, 250], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    found = float_images(crops, torch.from_numpy(colour_map(Augmentation(colour=(0.5, 1.1, 1.2))))[None])
    np.testing.assert_allclose(found[0, :, 0, 0] * 255, [50, 220, 255], rtol=1e-6)


def test_a_person_outside_the_picture_is_named(converted):
    class Outside:
        person_key, width, height, bbox_xyxy = "bedlam-train-0001#0", 100, 100, np.array([200.0, 0, 300, 50])

    with pytest.raises(RecordError, match="bedlam-train-0001#0"):
        make_sample(Outside(), NO_AUGMENTATION, SampleSettings())


def test_a_failing_thread_stops_the_stream(source):
    people, _ = source

    def broken(person_id):
        raise RecordError(str(person_id), "image", "readable", "damaged")

    with pytest.raises(RecordError, match="damaged"):
        next(iter(Stream(people, broken, SampleSettings(), batch_size=4, workers=2)))


def test_memory_of_crops_is_taken_again_when_nobody_holds_them():
    memory = CropMemory(2)
    first = memory.take(4, (6, 8))
    place = first.data_ptr()
    held = memory.take(4, (6, 8))
    assert held.data_ptr() != place
    part = first[1:2]
    del first
    assert memory.take(4, (6, 8)).data_ptr() != place  # somebody still looks at a part of it
    memory = CropMemory(2)
    place = memory.take(4, (6, 8)).data_ptr()
    again = memory.take(3, (6, 8))
    assert again.data_ptr() == place
    assert again.shape == (3, 3, 8, 6)
    assert part.shape == (1, 3, 8, 6)


def test_batches_that_are_kept_stay_as_they_are(source):
    kept, _ = take(source, 9, workers=2, prefetch=1)
    for batch, fresh in zip(kept, take(source, 9)[0], strict=True):
        assert_same(batch, fresh)
