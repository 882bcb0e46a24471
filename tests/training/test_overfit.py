"""Whether the whole chain can learn: a small network that sees 64 people again and again puts them where they are."""

import json
from itertools import islice

import numpy as np
import pytest
import yaml

from ehps.benchmark.geometry import build_geometry
from ehps.benchmark.people import benchmark_people
from ehps.benchmark.protocol import load_protocol
from ehps.benchmark.scoring import score
from ehps.benchmark.truth import posed_meshes
from ehps.body.assets import load_evaluation_assets
from ehps.converters.engine import convert
from ehps.shards.catalog import query
from ehps.tests.raw import bedlam
from ehps.training.loop import train
from ehps.training.predictor import load_predictor
from ehps.training.recipes import get_recipe

PEOPLE = 64
# No augmentation: what is tested is whether labels, losses, body layer and scores agree with one another.
UNCHANGED = [f"augmentation.{name}=0" for name in ("scale", "rotation", "rotation_probability", "colour")]


@pytest.fixture(scope="module")
def protocol():
    found = load_protocol("bedlam_val")
    return found.model_copy(update={"split": "train", "measures": ("PVE", "PVE@hands"), "primary": "PVE"})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("overfit")
    bedlam.build(folder / "raw", frames=90, pictures="rendered", bad=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EHPS_BODY_MODELS", "standin")  # without a body there would be no joints to learn
        convert("bedlam", folder / "raw", folder / "data", "train", jobs=2)
    return folder / "data"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_recipe_learns_64_people_by_heart(protocol, data, standin_dir, tmp_path):
    few = [person.person_key for person in islice(benchmark_people(data, protocol), PEOPLE)]
    names = ", ".join(f"'{key}'" for key in few)
    assert query(data, f"select count(*) as n from people where person_key in ({names})")["n"][0] == PEOPLE
    sql = f"select person_id from people where person_key in ({names})"
    mixture = tmp_path / "few.yaml"
    mixture.write_text(yaml.safe_dump({"about": "64", "strategy": "concat", "members": [{"sql": sql, "name": "few"}]}))
    settings = [f"mixture={mixture}", "steps=1400", "augmentation.flip_probability=0", *UNCHANGED]
    run = tmp_path / "run"
    train(get_recipe("demo", [*settings, "log_every=100", "save_every=1400"]), run, data, device="cpu")
    assert all(json.loads(line)["losses"]["joints_root"] for line in (run / "log.jsonl").read_text().splitlines())
    predictor = load_predictor(run, device="cpu")
    geometry = build_geometry(load_evaluation_assets(standin_dir))
    everyone = list(islice(benchmark_people(data, protocol), PEOPLE))
    errors = score(predictor, everyone, protocol, geometry, posed_meshes(standin_dir, protocol))
    assert len(errors) == PEOPLE
    assert errors["PVE"].mean() < 25, "millimetres"
    fine = predictor(everyone)
    coarse = load_predictor(run, device="cpu", precision="bf16")(everyone)
    own = [np.stack([one.vertices - one.joints_3d[0] for one in answers]) for answers in (fine, coarse)]
    assert 1000 * np.linalg.norm(own[0] - own[1], axis=-1).mean() < 1, "millimetres between float32 and bf16"
