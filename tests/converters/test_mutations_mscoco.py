"""Known label errors of EFT's fits, each planted on purpose: all show up as distances.

Those of the SMPL-X fits are in ``test_mutations.py``. The bounds are well below what was measured;
``pytest --log-cli-level=INFO`` shows the figures.
"""

import numpy as np
import pytest

from ehps.body.cameras import intrinsics
from ehps.converters import mscoco
from ehps.converters.formats import eft_json
from ehps.shards.record import Camera
from ehps.tests.raw._planting import assert_reported, planted_tree, replaced, wrapped


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    return {
        "mscoco": planted_tree("mscoco", tmp_path_factory.mktemp("mscoco"), fits=("eft", "eft_val")),
        "ochuman": planted_tree("ochuman", tmp_path_factory.mktemp("ochuman"), frames=8),
    }


def shifted_before_scaling(camera):
    """SPIN's weak perspective, which adds the translation before it scales."""
    return np.array([camera[1], camera[2], 2 * 5000 / (224 * camera[0])], np.float32)


def centred(fit):
    """The box's camera with its axis through the middle of the picture."""
    focal = 5000 * 200 * fit["bbox_scale"] / 224
    return Camera(K=intrinsics(focal, focal, 320.0, 240.0), kind="virtual_crop")


def of_200_pixels(fit):
    """The camera of a crop of 200 pixels: the unit of bbox_scale taken for the size of the crop."""
    focal = 5000 * fit["bbox_scale"]
    return Camera(K=intrinsics(focal, focal, *fit["bbox_center"].astype(np.float64).tolist()), kind="virtual_crop")


def transposed(matrices):
    return np.swapaxes(matrices, -1, -2)


def one_person_late(fits):
    """Fits by the order of the file, which is not that of COCO's annotations."""
    return dict(zip(fits, [*list(fits.values())[1:], *list(fits.values())[:1]], strict=True))


READERS = {name: lambda path: one_person_late(eft_json.by_annotation(path)) for name in mscoco.FITS}


def by_order(monkeypatch):
    replaced(eft_json, "fit_problem", lambda *_: "")(monkeypatch)
    replaced(mscoco, "_READERS", READERS)(monkeypatch)


# What is planted -> (source, how, mesh in mm, joints in px: at least this must be reported).
MUTATIONS = {
    "translation added before the scale": ("mscoco", replaced(eft_json, "_transl", shifted_before_scaling), 5, 1),
    "camera through the middle of the picture": ("mscoco", replaced(eft_json, "fit_camera", centred), 0, 50),
    "crop of 200 pixels": ("mscoco", replaced(eft_json, "fit_camera", of_200_pixels), 0, 10),
    "matrices the wrong way round": ("mscoco", wrapped(eft_json, "nearest_rotations", transposed), 100, 10),
    "fits by the order of the file": ("mscoco", by_order, 100, 10),
    "OCHuman: matrices the wrong way round": ("ochuman", wrapped(eft_json, "nearest_rotations", transposed), 100, 10),
    "OCHuman: translation added before the scale": (
        "ochuman",
        replaced(eft_json, "_transl", shifted_before_scaling),
        *(5, 1),
    ),
    "OCHuman: crop of 200 pixels": ("ochuman", replaced(eft_json, "fit_camera", of_200_pixels), 0, 10),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_error_is_reported(name, trees, monkeypatch):
    dataset, plant, *bounds = MUTATIONS[name]
    assert_reported(name, plant, trees[dataset], (*bounds, 0), monkeypatch)
