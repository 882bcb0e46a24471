"""Stopping and going on: the same people in the same order, whoever reads them, and without waiting for anybody."""

import itertools
import json
import os
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from ehps.errors import RecipeError, ShardError
from ehps.shards.reader import PeopleIndex
from ehps.training.mixture import Locality, Member, Mixture, mix
from ehps.training.samples import Named, SampleReader, SampleSettings
from ehps.training.stream import Stream

MEMBERS = (Member(dataset="bedlam"), Member(dataset="ehf", split="test"))
MIXTURE = Mixture(name="m", about="test", strategy="balance", epoch_length=48, members=MEMBERS)
SETTINGS = SampleSettings(seed=4)
TINY = SampleSettings(seed=4, crop_size=(3, 4))
BATCH = 12
STEPS = 6
CASES = 50


@pytest.fixture(scope="module")
def source(converted):
    return mix(MIXTURE, converted), PeopleIndex.open(converted).load


@pytest.fixture
def names_only(monkeypatch):
    """Read no pictures: a sample is the key that its position names."""

    def fill(self, positions, rows):
        drawn = self.people.draw(positions)
        rows.crops[:] = (drawn.person_id % 256).reshape(-1, 1, 1, 1)
        time.sleep(0.0002 * (int(positions[0]) % 3))  # threads overtake one another
        return [Named(f"{person}", "", None) for person in drawn.person_id.tolist()]

    monkeypatch.setattr(SampleReader, "fill", fill)


def stepped(source, world_size, count, **options):
    """Advance all ranks together; return the global sequence of (position, key) and where it stopped."""
    streams = [
        Stream(*source, TINY, batch_size=BATCH, rank=r, world_size=world_size, **options) for r in range(world_size)
    ]
    iterators, found = [iter(stream) for stream in streams], []
    for _ in range(count):
        parts = [next(iterator) for iterator in iterators]
        found += sorted(pair for part in parts for pair in zip(part.positions, part.keys, strict=True))
    states = [stream.state_dict() for stream in streams]
    for iterator in iterators:
        iterator.close()
    assert all(state == states[0] for state in states)
    return found, states[0]


def test_fifty_stops_continue_the_same_global_sequence(source, names_only):
    expected, _ = stepped(source, 1, STEPS)
    assert [position for position, _ in expected] == list(range(STEPS * BATCH))
    random = np.random.default_rng(0)
    for case in range(CASES):
        stop, before, after = random.integers(0, STEPS), *random.integers(1, 8, 2)
        workers, prefetch = random.integers(0, 4, 2).tolist(), random.integers(1, 6, 2).tolist()
        first, state = stepped(source, int(before), int(stop), workers=workers[0], prefetch=prefetch[0])
        state = json.loads(json.dumps(state))
        assert len(json.dumps(state)) < 1000
        rest, _ = stepped(
            source, int(after), STEPS - int(stop), workers=workers[1], prefetch=prefetch[1], position=state["position"]
        )
        assert first + rest == expected, f"case {case}: {stop=} {before=} {after=} {workers=} {prefetch=}"


def test_pictures_and_targets_are_the_same_bit_for_bit_after_a_stop(source):
    def checksums(world_size, count, position, workers):
        found = {}
        for rank in range(world_size):
            stream = Stream(
                *source,
                SETTINGS,
                batch_size=BATCH,
                rank=rank,
                world_size=world_size,
                workers=workers,
                position=position,
            )
            for batch in itertools.islice(stream, count):
                for i, place in enumerate(batch.positions):
                    arrays = (batch.crops, batch.colour, *batch.targets, *batch.validity)
                    found[place] = [zlib.crc32(array[i].numpy().tobytes()) for array in arrays]
        return found

    expected = checksums(1, 4, 0, 0)
    assert checksums(3, 2, 0, 2) | checksums(2, 2, 2 * BATCH, 1) == expected
    assert len(expected) == 4 * BATCH


def test_a_state_takes_no_time_to_go_on_from_wherever_it_was(source, names_only):
    began = time.perf_counter()
    stream = Stream(*source, SETTINGS, batch_size=BATCH)
    stream.load_state_dict({"position": 12_345_678_912, "order": source[0].fingerprint})
    assert next(iter(stream)).positions[0] == 12_345_678_912
    assert time.perf_counter() - began < 1


def test_a_state_of_other_data_is_refused(source):
    with pytest.raises(RecipeError, match="mixture or shards have changed"):
        Stream(*source, SETTINGS, batch_size=BATCH).load_state_dict({"position": 0, "order": "other"})


@pytest.mark.parametrize("locality", [None, Locality(run=2, lanes=2)])
def test_three_epochs_visit_everyone_the_planned_number_of_times(converted, names_only, locality):
    members = (MEMBERS[0], MEMBERS[1].model_copy(update={"weight": 1.0}))
    mixture = MIXTURE.model_copy(update={"members": members, "epoch_length": 60, "locality": locality})
    people = mix(mixture, converted)
    found, _ = stepped((people, int), 5, 3 * 60 // BATCH)
    visits = Counter(int(key) for _, key in found)
    sizes = dict(zip(people.names, map(len, people.selections), strict=True))
    assert sizes == {"bedlam": 12, "ehf": 5}
    counts = {size: {visits[i] for i in ids} for size, ids in ((12, range(12)), (5, range(13, 18)))}
    assert {size: (min(found), max(found)) for size, found in counts.items()} == {12: (7, 8), 5: (18, 18)}


def test_the_tail_of_a_finite_order_goes_round_all_ranks(converted, names_only):
    once = mix(MIXTURE.model_copy(update={"exhaustion": "renormalise", "strategy": "concat"}), converted)
    found, sizes = [], []
    for rank in range(8):
        stream = Stream(once, int, TINY, batch_size=BATCH, rank=rank, world_size=8, keeps_tail=True, workers=1)
        batches = list(stream)
        sizes.append([len(batch.keys) for batch in batches])
        found += [position for batch in batches for position in batch.positions]
        assert stream.position == 17
    assert sorted(found) == list(range(17))
    assert {len(size) for size in sizes} == {2}  # everyone takes as many steps
    assert max(size[1] for size in sizes) == 1
    assert min(size[1] for size in sizes) == 0


def test_more_ranks_than_shards_all_have_people(source, names_only):
    found, _ = stepped(source, 9, 3)
    assert [position for position, _ in found] == list(range(3 * BATCH))


def test_a_slow_rank_holds_nobody_up_and_a_lost_one_takes_only_its_share(source, names_only):
    def read(rank):
        stream = Stream(*source, SETTINGS, batch_size=BATCH, rank=rank, world_size=3, workers=1)
        found, began = [], time.perf_counter()
        for step, batch in enumerate(itertools.islice(stream, 6)):
            if rank == 1:
                time.sleep(0.3)
            if rank == 2 and step == 2:
                break
            found += batch.positions
        return found, time.perf_counter() - began

    with ThreadPoolExecutor(3) as pool:
        (fast, took), (slow, _), (lost, _) = pool.map(read, range(3))
    assert took < 1.2  # the slow one takes 1.8 s

    def planned(rank, steps):
        return [p for step in range(steps) for p in source[0].rank_positions(step * BATCH, BATCH, rank, 3).tolist()]

    assert fast == planned(0, 6)
    assert slow == planned(1, 6)
    assert lost == planned(2, 2)


def _die_after(source, queue, steps):
    stream = Stream(*source, SETTINGS, batch_size=BATCH, rank=1, world_size=2)
    for batch in itertools.islice(stream, steps):
        queue.put(batch.positions)
    queue.close()
    queue.join_thread()
    os._exit(1)


def test_two_ranks_go_on_as_one_when_a_process_dies(source):
    """Rank 1 dies after two steps; rank 0, who has done three, goes on alone from the last common step."""
    context = get_context("fork")
    queue = context.Queue()
    process = context.Process(target=_die_after, args=(source, queue, 2))
    process.start()
    mine = [batch.positions for batch in itertools.islice(Stream(*source, SETTINGS, batch_size=BATCH, world_size=2), 3)]
    theirs = [queue.get(timeout=20) for _ in range(2)]
    process.join(20)
    assert process.exitcode == 1
    common = [position for parts in (mine[:2], theirs) for part in parts for position in part]
    alone = next(iter(Stream(*source, SETTINGS, batch_size=BATCH, position=2 * BATCH)))
    assert sorted(common) + list(alone.positions) == list(range(3 * BATCH))


@pytest.fixture(scope="module")
def breaking(source):
    """A loader to whom persons 3 and 4 are damaged."""
    _, load = source

    def broken(person_id):
        if person_id in (3, 4):
            raise ShardError("x.tar", f"person {person_id} is damaged")
        return load(person_id)

    return broken


def test_who_cannot_be_read_is_replaced_by_the_next_and_counted(converted, source, breaking):
    members = (MEMBERS[0].model_copy(update={"on_failure": "replace"}), MEMBERS[1])
    people = mix(MIXTURE.model_copy(update={"members": members}), converted)
    read = {}
    for workers, world_size in ((0, 1), (2, 1), (0, 3)):
        keys, total = {}, Counter()
        for rank in range(world_size):
            stream = Stream(
                people, breaking, SETTINGS, batch_size=BATCH, rank=rank, world_size=world_size, workers=workers
            )
            for batch in itertools.islice(stream, 4):
                keys |= dict(zip(batch.positions, batch.keys, strict=True))
                assert all(one.member == "bedlam" and "damaged" in one.problem for one in batch.replaced)
            total += stream.replaced
        read[workers, world_size] = keys, total
    assert read[0, 1] == read[2, 1] == read[0, 3]
    keys, total = read[0, 1]
    wanted = people.draw(np.arange(4 * BATCH)).person_id.tolist()
    for position, person_id in enumerate(wanted):
        number = 5 if person_id in (3, 4) else person_id
        assert number >= 12 or keys[position] == f"bedlam-train-{number:04d}#0"
    assert total == {"bedlam": sum(person_id in (3, 4) for person_id in wanted)}
    assert total["bedlam"] >= 4


def test_without_the_policy_damage_stops_the_stream(source, breaking):
    with pytest.raises(ShardError, match="is damaged"):
        list(itertools.islice(Stream(source[0], breaking, SETTINGS, batch_size=BATCH, workers=2), 4))


def test_when_nobody_can_be_read_the_damage_is_raised(converted):
    members = (MEMBERS[0].model_copy(update={"on_failure": "replace"}),)
    people = mix(MIXTURE.model_copy(update={"members": members}), converted)

    def gone(person_id):
        raise ShardError("x.tar", "the tar is not there")

    with pytest.raises(ShardError, match="the tar is not there"):
        next(iter(Stream(people, gone, SETTINGS, batch_size=BATCH)))
