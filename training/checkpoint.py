"""Reading and writing weights: the released layout, ViTPose's, and training checkpoints of our own.

A checkpoint is a dict with the weights under ``network``; the released files (``smplest_x_h.pth.tar``: ``epoch``,
``network``, ``optimizer``) prefix each key with ``module.``, of which one is stripped. Ours add ``config``, so that the
network can be built without naming a size, and are otherwise the same layout: either loader reads either file.

Files are opened with ``weights_only=True``, so none can run code, and memory-mapped where their format allows, so the
two thirds of a released file that hold the optimiser are never read. Nothing is accepted in silence: a missing,
additional or misshapen weight raises ``CheckpointError`` with its name.
"""

import os
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..shards.tree import sync
from .compat import Quirks, quirks_from_dict, quirks_to_dict
from .network_size import SIZES, ModelName, NetworkSize
from .networks import NETWORKS, RELEASED, Network, model_name, model_of_keys
from .smplestx import HEAD_DIM
from .vit import ViT

WRAPPERS = ("module.", "_orig_mod.")  # of distributed training and of torch.compile, outermost first
PLAIN_TYPES = (str, int, float, bool, type(None))


class LoadReport(NamedTuple):
    """What a load left open; every other weight of the network was in the file, and has its shape."""

    file: str
    initial: tuple[str, ...]
    """Weights that the file does not have, by design."""
    unused: tuple[str, ...]
    """Entries of the file that the network has no place for, by design."""

    def __str__(self) -> str:
        """Return it as one line, entries of one module together."""
        groups: dict[str, list[str]] = {}
        for key in self.unused:
            groups.setdefault(key.partition(".")[0], []).append(key)
        unused = [keys[0] if len(keys) == 1 else f"{name}.* ({len(keys)})" for name, keys in groups.items()]
        parts = {"not in it": self.initial, "not used of it": unused}
        said = [f"{what}: {', '.join(names)}" for what, names in parts.items() if names]
        return "; ".join([f"loaded {self.file}", *said])


def load_checkpoint(path: Path | str, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """Return a checkpoint, released or ours, with the keys under ``network`` freed of their wrappers' prefixes."""
    state = _read(Path(path), map_location)
    if not isinstance(state.get("network"), Mapping):
        found = ", ".join(map(str, list(state)[:5])) or "nothing"
        raise CheckpointError(path, f"a checkpoint should have an entry 'network', found {found}")
    state["network"] = {_unwrapped(key): value for key, value in state["network"].items()}
    return state


def load_released(path: Path | str, network: nn.Module) -> LoadReport:
    """Load the weights of a checkpoint, released or ours, into a network; every weight must find its place.

    Released weights were trained under ``compat.SMPLESTX_RELEASED``; in a network with other switches they are a start
    for fine-tuning, not the released model.
    """
    state = load_checkpoint(path)
    _load_strictly(path, network, state["network"])
    return LoadReport(Path(path).name, (), tuple(key for key in state if key != "network"))


def load_vitpose(path: Path | str, encoder: ViT) -> LoadReport:
    """Load a ViTPose file into an encoder; only ``task_tokens`` may keep their initial values.

    ViTPose's keys start with ``backbone.``; its keypoint head is reported as unused, and so is the class token that
    some of its files carry from their pretraining (ViTPose-S: issue 6 of jaehyunnn/ViTPose_pytorch).
    """
    state = _read(Path(path), "cpu")
    weights = state.get("state_dict", state)
    backbone = {key.removeprefix("backbone."): value for key, value in weights.items() if key.startswith("backbone.")}
    if not backbone:
        first = next(iter(weights), "nothing")
        raise CheckpointError(path, f"a ViTPose file should have keys 'backbone.*', found {first!r} first")
    if any(".experts." in key for key in backbone):
        hint = "split its experts into one plain ViTPose file first"
        raise CheckpointError(path, "this is a ViTPose+ file, whose layers hold several experts", hint)
    backbone.pop("cls_token", None)
    _load_strictly(path, encoder, backbone, may_miss=("task_tokens",))
    unused = tuple(key for key in weights if key.removeprefix("backbone.") not in backbone)
    return LoadReport(Path(path).name, ("task_tokens",), unused)


def network_entries(network: Network, weights: Mapping[str, Tensor] | None = None) -> dict[str, Any]:
    """Return the entries ``network`` and ``config`` of a checkpoint.

    ``weights`` are the whole ones where those of the network lie divided over ranks.
    """
    config = {"model": model_name(network), "size": network.size._asdict(), "quirks": quirks_to_dict(network.quirks)}
    return {"network": dict(network.state_dict() if weights is None else weights), "config": config}


def network_from_state(
    state: Mapping[str, Any],
    *,
    num_heads: int | None = None,
    quirks: Quirks | None = None,
    path: Path | str = "checkpoint",
) -> Network:
    """Return the network that a state from ``load_checkpoint`` holds, its weights loaded, in evaluation mode.

    Which network it is, the names of the weights tell, and sizes are read off the weights. The number of heads leaves
    no trace there: it comes from ``num_heads``, from ``config`` in our files, or from ``SIZES`` for a released width.
    Without ``config`` the switches are the released ones. The weights are taken over, not copied.
    """
    stored = stored_network(state, num_heads=num_heads, path=path)
    with torch.device("meta"):
        network = NETWORKS[stored.model](stored.size, quirks or stored.quirks)
    _load_strictly(path, network, state["network"])
    return network.eval()


class StoredNetwork(NamedTuple):
    """Which network a file of weights holds, and the switches that it was trained under."""

    model: ModelName
    size: NetworkSize
    quirks: Quirks


def stored_network(
    state: Mapping[str, Any], *, num_heads: int | None = None, path: Path | str = "checkpoint"
) -> StoredNetwork:
    """Return what a state from ``load_checkpoint`` holds; the arguments are those of ``network_from_state``."""
    config = state.get("config") or {}
    model = model_of_keys(state["network"])
    if model is None:
        problem = f"holds no network of SMPLest-X or SMPLer-X; its weights are {_first_few(state['network'])}"
        raise CheckpointError(path, problem)
    size = _size_of(model, state["network"], config.get("size", {}), num_heads, path)
    return StoredNetwork(model, size, quirks_from_dict(config["quirks"]) if "quirks" in config else RELEASED[model])


def save_checkpoint(path: Path | str, state: Mapping[str, Any]) -> None:
    """Write a checkpoint in one step: under any interruption the old file or the new one is there, whole.

    The state may hold tensors and plain containers of numbers and strings, which is what can be read back safely;
    anything else raises ``ValueError`` with its place.
    """
    _require_plain(state, "state")
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync(path.parent)  # the name outlives a power cut before an older file is deleted for its sake
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path, map_location: str | torch.device) -> dict[str, Any]:
    """Return the dict of a torch file."""
    if not path.is_file():
        raise CheckpointError(path, "there is no such file")
    try:
        # Only the zip format, torch's own since 2020, can be mapped.
        state = torch.load(path, map_location, weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        reason = str(error).strip().split("\n")[0]
        hint = "if you trust its origin, re-save its tensors as plain dicts"
        raise CheckpointError(path, f"cannot be read as plain weights ({reason})", hint) from error
    except (RuntimeError, EOFError) as error:
        raise CheckpointError(path, f"is damaged or not a torch file ({error})", "download or save it again") from error
    if not isinstance(state, dict):
        raise CheckpointError(path, f"should hold a dict, found {type(state).__name__}")
    return state


def _unwrapped(key: str) -> str:
    """Return a weight's key without one prefix of each wrapper."""
    for wrapper in WRAPPERS:
        key = key.removeprefix(wrapper)
    return key


def _load_strictly(
    path: Path | str, network: nn.Module, weights: Mapping[str, Tensor], may_miss: tuple[str, ...] = ()
) -> None:
    """Load weights into a network, or say which are missing, unexpected or misshapen and load none."""
    wanted = network.state_dict()
    missing = [key for key in wanted if key not in weights and key not in may_miss]
    unexpected = [key for key in weights if key not in wanted]
    misshapen = [
        f"{key} {tuple(weights[key].shape)} instead of {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in weights and weights[key].shape != value.shape
    ]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    said = [f"{len(keys)} {fault} ({_first_few(keys)})" for fault, keys in faults.items() if keys]
    if said:
        hint = "is this the right model and size?"
        raise CheckpointError(path, f"{len(wanted)} weights should fit, but {' and '.join(said)}", hint)
    on_meta = any(value.is_meta for value in wanted.values())
    network.load_state_dict(weights, strict=not may_miss, assign=on_meta)


def _first_few(keys: Iterable[str], num_shown: int = 3) -> str:
    """Return the first keys as a list for a sentence."""
    keys = list(keys)
    return ", ".join(keys[:num_shown]) + (", ..." if len(keys) > num_shown else "")


def _size_of(
    model: ModelName,
    weights: Mapping[str, Tensor],
    stored: Mapping[str, Any],
    num_heads: int | None,
    path: Path | str,
) -> NetworkSize:
    """Return a network's size from its weights and whatever else is known."""
    if "encoder.task_tokens" not in weights:
        raise CheckpointError(path, f"holds no encoder; its weights are {_first_few(weights)}")
    embed_dim = weights["encoder.task_tokens"].shape[-1]
    known = next((size._asdict() for size in SIZES.values() if size.embed_dim == embed_dim), {})
    num_heads = num_heads or stored.get("num_heads") or known.get("num_heads")
    if num_heads is None:
        raise CheckpointError(path, f"does not say how many heads its width {embed_dim} has", "pass num_heads")
    rate = stored.get("drop_path_rate", known.get("drop_path_rate", 0.0))
    size = NetworkSize(embed_dim, _layers(weights, r"encoder\.blocks"), num_heads, rate)
    return size if model == "smpler-x" else size._replace(**_decoder_size(weights, path))


def _decoder_size(weights: Mapping[str, Tensor], path: Path | str) -> dict[str, int]:
    """Return the numbers of SMPLest-X's decoder."""
    layers = "decoder.transformer.transformer.layers"
    read, attention = "decoder.token_conv.weight", f"{layers}.0.0.fn.to_qkv.weight"
    for key in (read, attention):
        if key not in weights:
            raise CheckpointError(path, f"lacks {key}, which tells the size of the decoder", "is the file whole?")
    return {
        "dim_out": weights[read].shape[0],
        "decoder_depth": _layers(weights, re.escape(layers)),
        "decoder_heads": weights[attention].shape[0] // (3 * HEAD_DIM),
    }


def _layers(weights: Mapping[str, Tensor], name: str) -> int:
    """Return how many numbered modules a list has (``name`` is a regular expression)."""
    return len({found[1] for key in weights if (found := re.match(rf"{name}\.(\d+)\.", key))})


def _require_plain(value: Any, place: str) -> None:
    """Raise ``ValueError`` unless a value can be read back with ``weights_only=True``."""
    if isinstance(value, Mapping) and type(value) in (dict, OrderedDict):
        for key, inner in value.items():
            _require_plain(key, f"a key of {place}")
            _require_plain(inner, f"{place}[{key!r}]")
    elif type(value) in (list, tuple):
        for i, inner in enumerate(value):
            _require_plain(inner, f"{place}[{i}]")
    elif not isinstance(value, Tensor) and type(value) not in PLAIN_TYPES:
        raise ValueError(f"{place} should be a tensor or plain data, found {type(value).__name__}")
