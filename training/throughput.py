"""How much of a GPU's arithmetic a run uses: model FLOPs utilisation (MFU).

Counted are the multiplications and additions of the network's matrices and attention, forward and backward (three times
the forward); what is recomputed to save memory is not counted. Peaks are the manufacturers' dense bf16 figures.
"""

from .smplestx import HEAD_DIM, NUM_TASK_TOKENS, NetworkSize
from .vit import GRID, PATCH

PEAK_TFLOPS = {"B200": 2250, "H200": 989, "H100": 989, "A100": 312, "L40S": 362, "V100": 125, "4090": 165, "3090": 71}


def forward_flops(size: NetworkSize) -> float:
    """Return the floating-point operations of one person's forward pass."""
    patches, dim, inner = GRID[0] * GRID[1], size.embed_dim, size.decoder_heads * HEAD_DIM
    tokens = patches + NUM_TASK_TOKENS
    embedding = 2 * patches * 3 * PATCH * PATCH * dim
    block = 2 * tokens * 12 * dim * dim + 4 * tokens * tokens * dim
    self_attention = 2 * tokens * 4 * dim * inner + 4 * tokens * tokens * inner
    cross_attention = 4 * (tokens + patches) * dim * inner + 4 * tokens * patches * inner
    feed_forward = 4 * tokens * dim * dim
    return embedding + size.depth * block + size.decoder_depth * (self_attention + cross_attention + feed_forward)


def utilisation(size: NetworkSize, people_per_s: float, device_name: str) -> float | None:
    """Return the share of a device's peak that training at this rate uses; None for a device of unknown peak."""
    peak = next((tflops for name, tflops in PEAK_TFLOPS.items() if name in device_name), None)
    return None if peak is None else 3 * forward_flops(size) * people_per_s / (peak * 1e12)
