"""From a checkpoint to a callable that poses the people in boxes: what the benchmark scores and pictures show.

People need only ``bbox_xyxy`` (padded, px of the picture) and ``image()`` (RGB); answers carry ``vertices``. Meshes are
in the camera space of their crop (x right, y down, z forward, metres; focal length 5000 at 256 x 192), and ``K`` is the
camera under which they lie on the person in the whole picture. Crops are made as in training, without augmentation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..body.hands import to_absolute
from ..body.joints import POSE_PARTS
from ..shards.cutting import cut_picture
from .augment import NO_AUGMENTATION
from .batches import float_images
from .checkpoint import load_checkpoint, network_from_state
from .crops import FULL_SIZE, HALF_SIZE, crop_affine, crop_box
from .networks import Network, body_of
from .outputs import Outputs, body_outputs, picture_intrinsics
from .ranks import device_named
from .recipe import Recipe
from .run_record import checkpoint_of
from .smplx_layer import load_body_layer
from .start import random_network

Precision = Literal["fp32", "bf16"]
BATCH_SIZE = 16
MIN_BOX = 1.0  # px; smaller boxes hold nobody


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictedPerson:
    """One posed person in the camera space of the crop."""

    vertices: Float[np.ndarray, "10475 3"]  # m
    joints_3d: Float[np.ndarray, "144 3"]  # m
    parameters: dict[str, np.ndarray]  # names of smplx, axis-angle; hands are absolute
    K: Float[np.ndarray, "3 3"]  # px of the whole picture


class Predictor:
    """A network with the whole body model behind it; call it with people, get one answer each."""

    def __init__(
        self,
        network: Network,
        device: str = "auto",
        *,
        name: str = "smplest-x",
        revision: str = "unsaved",
        trained_on: Sequence[str] = (),
        finetuned_on: Sequence[str] = (),
        training_people: int | None = None,
        unused: Sequence[str] = (),
        precision: Precision = "fp32",
    ) -> None:
        """``name`` and ``revision`` are those of its results, the rest says what it was trained on.

        ``trained_on`` are ids of sources, of which ``finetuned_on`` came last; ``training_people`` is how many
        different people they held, None where nobody knows. ``unused`` are the entries of the file that the network
        has no place for. With ``precision`` bf16 the network's matrices are multiplied in half precision.
        """
        self.unused, self.precision = tuple(unused), precision
        self.name, self.revision, self.training_people = name, revision, training_people
        self.trained_on, self.finetuned_on = tuple(trained_on), tuple(finetuned_on)
        self.device = torch.device(device_named(device))
        self.network = network.to(self.device).eval()
        self.body = load_body_layer(mesh=True).to(self.device)

    @property
    def network_parameters(self) -> int:
        """Return the number of weights of the whole network."""
        return sum(weights.numel() for weights in self.network.parameters())

    def __call__(self, people: Sequence[Any]) -> list[PredictedPerson | None]:
        """Return the posed people; None for a box outside of its picture."""
        cuts = [self._cut(person) for person in people]
        there = [(i, found) for i, found in enumerate(cuts) if found is not None]
        answers: list[PredictedPerson | None] = [None] * len(cuts)
        for start in range(0, len(there), BATCH_SIZE):
            part = there[start : start + BATCH_SIZE]
            for (i, _), answer in zip(part, self._pose([found for _, found in part]), strict=True):
                answers[i] = answer
        return answers

    def _cut(self, person: Any) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the crop and the box that it shows, None where the box holds nothing of the picture."""
        picture = person.image()
        height, width = picture.shape[:2]
        box = crop_box(np.asarray(person.bbox_xyxy, np.float64), width, height)
        if box is None or box[2:].min() < MIN_BOX:
            return None
        is_compatible = self.network.quirks.nearest_halving
        size = FULL_SIZE if is_compatible else HALF_SIZE
        affine = crop_affine(box, size, NO_AUGMENTATION, width)
        return cut_picture(picture, affine, size, mode="exact" if is_compatible else "scaled"), box

    @torch.inference_mode()
    def _pose(self, cuts: list[tuple[np.ndarray, np.ndarray]]) -> list[PredictedPerson]:
        """Return the posed people of some crops."""
        crops = torch.from_numpy(np.stack([crop for crop, _ in cuts])).permute(0, 3, 1, 2).to(self.device)
        images = float_images(crops)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            said = self.network(images)
        outputs = body_outputs(body_of(said), self.body)
        cameras = picture_intrinsics(torch.from_numpy(np.stack([box for _, box in cuts]))).numpy()
        return answers_of(outputs, cameras)


def answers_of(outputs: Outputs, cameras: Float[np.ndarray, "people 3 3"]) -> list[PredictedPerson]:
    """Return posed people one by one."""
    assert outputs.vertices is not None, "a predictor poses whole meshes"
    pose = _numpy(outputs.pose())
    betas, expression, transl = (_numpy(values) for values in (outputs.betas, outputs.expression, outputs.transl))
    vertices, joints = _numpy(outputs.vertices), _numpy(outputs.joints_smplx)
    return [
        PredictedPerson(
            vertices=vertices[i],
            joints_3d=joints[i],
            parameters=_named(pose[i]) | {"betas": betas[i], "expression": expression[i], "transl": transl[i]},
            K=cameras[i],
        )
        for i in range(len(pose))
    ]


def _named(pose: Float[np.ndarray, "53 3"]) -> dict[str, np.ndarray]:
    """Return the rotations by the names of ``smplx``, hands made absolute."""
    return {
        "global_orient": pose[0],
        "body_pose": pose[1 : POSE_PARTS["body"].stop],
        "left_hand_pose": to_absolute(pose[POSE_PARTS["left_hand"]], "left"),
        "right_hand_pose": to_absolute(pose[POSE_PARTS["right_hand"]], "right"),
        "jaw_pose": pose[POSE_PARTS["face"]][0],
    }


def _numpy(values: Tensor) -> np.ndarray:
    """Return a tensor as an array."""
    return values.cpu().numpy()


def load_predictor(
    path: Path | str, device: str = "auto", *, num_heads: int | None = None, precision: Precision = "fp32"
) -> Predictor:
    """Return the predictor of a checkpoint, ours or released, or of the newest checkpoint of a run's folder.

    A running mean of the weights is used where training kept one. ``num_heads`` is asked for only where a released file
    has an unknown width. Our checkpoints give the recipe's name and the step as revision, others their file's name.
    """
    path = checkpoint_of(path)
    state = load_checkpoint(path)
    state["network"] |= state.get("ema", {})
    name, revision = model_and_revision(state, path)
    return Predictor(
        network_from_state(state, num_heads=num_heads, path=path),
        device,
        name=name,
        revision=revision,
        trained_on=state.get("trained_on", ()),
        finetuned_on=state.get("finetuned_on", ()),
        training_people=state.get("training_people"),
        unused=() if "recipe" in state else [key for key in state if key != "network"],
        precision=precision,
    )


def model_and_revision(state: Mapping[str, Any], path: Path) -> tuple[str, str]:
    """Return what the results of a checkpoint are called, given what ``load_checkpoint`` read from its file."""
    if "recipe" in state:
        return state["recipe"]["name"], f"step-{state['step']}"
    return path.name.partition(".")[0], "released"


def untrained_predictor(recipe: Recipe, seed: int | None = None, device: str = "auto") -> Predictor:
    """Return the predictor of a recipe before its first step: what training is compared with."""
    return Predictor(random_network(recipe, seed), device, name=recipe.name, revision="untrained")
