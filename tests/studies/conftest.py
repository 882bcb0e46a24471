"""A converted tree of two sources with two splits each, and a study of them that is through in seconds."""

import pytest

from ehps.shards.catalog import build_catalog
from ehps.studies.declaration import DatasetsStudy
from ehps.studies.engine import carry_out
from ehps.tests.training.conftest import write_source

PROTOCOLS = ("bedlam_val", "agora_val")
TINY = (
    *("network.embed_dim=16", "network.depth=1", "network.num_heads=2", "network.dim_out=8", "network.decoder_depth=1"),
    *("batch_size=4", "steps=6", "save_every=2", "log_every=1", "workers=0"),
)


@pytest.fixture(scope="session")
def catalog(tmp_path_factory, standin_dir):
    """Bedlam and agora: six people to train on and two to score, each."""
    out = tmp_path_factory.mktemp("study_data")
    for seed, dataset in enumerate(("bedlam", "agora")):
        write_source(out, dataset, 6, seed=seed)
        write_source(out, dataset, 2, seed=seed + 10, split="val")
    build_catalog(out)
    return out


def declared(catalog, root, **changed):
    """The declaration of a study of the two sources, its results below a folder."""
    said = {"name": "datasets", "recipe": "demo", "mixture": "demo_study", "settings": TINY, "protocols": PROTOCOLS}
    said |= {"datasets": ("bedlam", "agora"), "catalog": catalog, "results": root / "results"}
    return DatasetsStudy(**said | changed)


@pytest.fixture(scope="session")
def finished(catalog, tmp_path_factory):
    """A folder with a study that is through: ``study`` and ``results``."""
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EHPS_BODY_MODELS", "standin")
        carry_out(declared(catalog, root), root / "study", device="cpu")
    return root
