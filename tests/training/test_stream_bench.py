"""What is said to limit a stream."""

import pytest

from ehps.training.stream_bench import STAGES, Reading, Stage, limit_of


def stages(read=1.0, decode=2.0, waiting=0.0):
    given = {"read": (read + waiting, read), "decode": (decode, decode)}
    return tuple(Stage(name, *given.get(name, (0.1, 0.1))) for name in STAGES)


@pytest.mark.parametrize(
    ("found", "rates", "reading", "said"),
    [
        (stages(), {1: 300.0, 2: 590.0}, {}, "the processor: decode takes"),
        (stages(waiting=5.0), {1: 100.0, 2: 200.0}, {}, "reading: "),
        (stages(), {1: 300.0, 2: 310.0}, {}, "cores are taken"),
        (
            stages(),
            {1: 90.0, 2: 95.0},
            {2: Reading(120.0, 1.5, 0.7, 0.6)},
            "wait 60% of their time while 120 MB",
        ),
        (stages(waiting=5.0), {1: 300.0, 2: 590.0}, {2: Reading(120.0, 1.5, 0.7, 0.1)}, "read takes"),
    ],
    ids=["processor", "disk", "cores", "line", "line with room"],
)
def test_the_limit_is_named(found, rates, reading, said):
    assert said in limit_of(found, rates, reading)
