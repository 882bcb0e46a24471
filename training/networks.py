"""The networks by name, and which one a file of weights holds."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from .compat import PAPER, SMPLERX_RELEASED, SMPLESTX_RELEASED, Quirks
from .network_size import ModelName, NetworkSize
from .outputs import Prediction
from .smplerx import SmplerX, SmplerXPrediction
from .smplestx import SmplestX

Network = SmplestX | SmplerX
NETWORKS: Mapping[ModelName, type[SmplestX] | type[SmplerX]] = MappingProxyType(
    {"smplest-x": SmplestX, "smpler-x": SmplerX}
)
RELEASED: Mapping[ModelName, Quirks] = MappingProxyType({"smplest-x": SMPLESTX_RELEASED, "smpler-x": SMPLERX_RELEASED})
"""The switches under which the released weights of each were trained."""


def new_network_of(
    model: ModelName, size: NetworkSize, quirks: Quirks = PAPER, *, checkpoint_blocks: bool = False
) -> Network:
    """Return a network with random weights."""
    return NETWORKS[model](size, quirks, checkpoint_blocks=checkpoint_blocks)


def model_name(network: Network) -> ModelName:
    """Return what a network is called."""
    return next(name for name, kind in NETWORKS.items() if isinstance(network, kind))


def model_of_keys(keys: Iterable[str]) -> ModelName | None:
    """Return which network weights of these names belong to; None for neither."""
    found = {key.partition(".")[0] for key in keys}
    if "box_net" in found:
        return "smpler-x"
    return "smplest-x" if "decoder" in found else None


def body_of(prediction: Prediction | SmplerXPrediction) -> Prediction:
    """Return what any of the networks says of the body."""
    return prediction.body if isinstance(prediction, SmplerXPrediction) else prediction
