"""The sizes of the networks, and what they are called; without torch, so that whoever reads recipes starts fast."""

from typing import Literal, NamedTuple

ModelName = Literal["smplest-x", "smpler-x"]


class NetworkSize(NamedTuple):
    """The numbers that tell one SMPLest-X from another; the decoder of every published size is the same."""

    embed_dim: int
    depth: int
    num_heads: int
    drop_path_rate: float
    dim_out: int = 512
    decoder_depth: int = 6
    decoder_heads: int = 8


# H is the released SMPLest-X; S, B and L are the encoders of SMPLer-X, that is, ViTPose's.
SIZES: dict[str, NetworkSize] = {
    "s": NetworkSize(384, 12, 12, 0.1),
    "b": NetworkSize(768, 12, 12, 0.3),
    "l": NetworkSize(1024, 24, 16, 0.5),
    "h": NetworkSize(1280, 32, 16, 0.55),
}
