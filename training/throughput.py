"""How much of a GPU's arithmetic a run uses: model FLOPs utilisation (MFU).

Counted are the multiplications and additions of the network's matrices, convolutions and attention, forward and
backward (three times the forward); what is recomputed to save memory is not counted, and neither are the body layer and
the losses. Peaks are the manufacturers' dense bf16 figures. Where only some modules learn, the share is an upper bound.
"""

from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from .crop_network import INPUT_SIZE
from .network_size import ModelName, NetworkSize
from .networks import new_network_of

PEAK_TFLOPS = {"B200": 2250, "H200": 989, "H100": 989, "A100": 312, "L40S": 362, "V100": 125, "4090": 165, "3090": 71}


@lru_cache(maxsize=16)
def forward_flops(model: ModelName, size: NetworkSize) -> int:
    """Return the floating-point operations of one person's forward pass, counted on a network without weights."""
    with torch.device("meta"):
        network = new_network_of(model, size).eval()
        images = torch.empty(1, 3, *INPUT_SIZE)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.to("meta")(images)
    return counter.get_total_flops()


def utilisation(model: ModelName, size: NetworkSize, people_per_s: float, device_name: str) -> float | None:
    """Return the share of a device's peak that training at this rate uses; None for a device of unknown peak."""
    peak = next((tflops for name, tflops in PEAK_TFLOPS.items() if name in device_name), None)
    return None if peak is None else 3 * forward_flops(model, size) * people_per_s / (peak * 1e12)
