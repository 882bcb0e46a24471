"""The numpy forward model equals the smplx package, for every model kind, down to the contour of a turned head."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ehps.body import posing
from ehps.body.assets import load_evaluation_assets
from ehps.body.models import is_standin, load_smplx_layer, model_dir, model_fingerprint, require_model_dir
from ehps.body.posing import PosingModel, model_path
from ehps.errors import BodyModelError

PEOPLE = 6


def parameters(num_betas: int = 10, seed: int = 0) -> dict[str, np.ndarray]:
    """Random bodies with every part moving; yaw of the neck reaches both ends of the contour table."""
    rng = np.random.default_rng(seed)
    shapes = {
        "global_orient": (3,),
        "body_pose": (63,),
        "left_hand_pose": (45,),
        "right_hand_pose": (45,),
        "jaw_pose": (3,),
        "leye_pose": (3,),
        "reye_pose": (3,),
        "transl": (3,),
    }
    out = {name: rng.normal(0, 0.3, (PEOPLE, *shape)) for name, shape in shapes.items()}
    out["body_pose"].reshape(PEOPLE, 21, 3)[:, 11, 1] = np.linspace(-1.2, 1.2, PEOPLE)
    out["betas"] = rng.normal(0, 1, (PEOPLE, num_betas))
    out["expression"] = rng.normal(0, 1, (PEOPLE, 10))
    return out


def as_tensors(values: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value).float() for name, value in values.items()}


@pytest.mark.parametrize(("gender", "num_betas"), [("neutral", 10), ("female", 11), ("male", 16)])
def test_smplx_joints_and_vertices_are_those_of_the_package(standin_dir, gender, num_betas):
    values = parameters(num_betas)
    layer = load_smplx_layer(gender, num_betas=num_betas, batch_size=PEOPLE, directory=standin_dir)
    expected = layer(**as_tensors(values))
    model = PosingModel.load(standin_dir, "smplx", gender, num_betas)
    np.testing.assert_allclose(model.vertices(values), expected.vertices.detach().numpy(), atol=2e-6)
    np.testing.assert_allclose(model.joints(values), expected.joints.detach().numpy(), atol=2e-6)


def test_smpl_and_smplh_and_mano_are_those_of_the_package(standin_dir):
    values = parameters()
    cases = {
        ("smpl", "female"): {"body_pose": np.concatenate([values["body_pose"], np.full((PEOPLE, 6), 0.1)], axis=1)},
        ("smplh", "male"): {name: values[name] for name in ("body_pose", "left_hand_pose", "right_hand_pose")},
        ("mano", "left"): {"hand_pose": values["left_hand_pose"]},
        ("mano", "right"): {"hand_pose": values["right_hand_pose"]},
    }
    for (kind, gender), pose in cases.items():
        pose |= {name: values[name] for name in ("global_orient", "betas", "transl")}
        expected = load_smplx_layer(gender, kind=kind, batch_size=PEOPLE, directory=standin_dir)(**as_tensors(pose))
        model = PosingModel.load(standin_dir, kind, gender)
        np.testing.assert_allclose(model.vertices(pose), expected.vertices.detach().numpy(), atol=2e-6, err_msg=kind)
        if kind != "mano":
            joints = expected.joints.detach().numpy()
            np.testing.assert_allclose(model.joints(pose)[:, : joints.shape[1]], joints, atol=2e-6, err_msg=kind)


def test_the_contour_follows_a_turned_head(standin_dir):
    model = PosingModel.load(standin_dir)
    values = parameters()
    straight = {name: np.zeros_like(value) for name, value in values.items()}
    turned = {**straight, "body_pose": values["body_pose"]}
    assert np.ptp(model.joints(turned)[:, 127:], axis=0).max() > 0.01


def test_chosen_points_are_rows_of_all_vertices(standin_dir):
    model = PosingModel.load(standin_dir)
    values = parameters()
    ids = np.array([5, 9000, 17])
    np.testing.assert_allclose(model.points(values, ids), model.vertices(values)[:, ids])


def test_joints_without_the_face_are_the_first_of_all(standin_dir):
    model = PosingModel.load(standin_dir)
    values = parameters()
    np.testing.assert_allclose(model.joints(values, with_face=False), model.joints(values)[:, :76], atol=1e-12)


def test_how_many_are_posed_at_a_time_changes_nothing(standin_dir, monkeypatch):
    model = PosingModel.load(standin_dir)
    values = parameters()
    together = model.joints(values).astype(np.float32)
    monkeypatch.setattr("ehps.body.posing.CACHED_PEOPLE", 4)
    monkeypatch.setattr("ehps.body.skinning.CACHED_POINTS", 10)
    np.testing.assert_array_equal(model.joints(values).astype(np.float32), together)


@pytest.mark.parametrize("kind", ["smplx", "smpl"])
def test_a_body_kept_in_single_or_half_precision_is_posed_in_double(standin_dir, kind):
    model, values = PosingModel.load(standin_dir, kind), parameters()
    assert model.pose_directions.dtype.itemsize < 8
    doubles = replace(model, pose_directions=model.pose_directions.astype(np.float64))
    np.testing.assert_array_equal(model.vertices(values), doubles.vertices(values))
    np.testing.assert_array_equal(model.joints(values), doubles.joints(values))


def test_nobody_has_no_joints(standin_dir):
    nobody = {name: value[:0] for name, value in parameters().items()}
    assert PosingModel.load(standin_dir).joints(nobody).shape == (0, 144, 3)


def test_the_pelvis_is_not_the_origin_and_moves_with_shape(standin_dir):
    model = PosingModel.load(standin_dir)
    offset = model.pelvis_offset(np.stack([np.zeros(10), np.full(10, 2.0)]))
    assert np.linalg.norm(offset[0]) > 0.2
    assert np.abs(offset[0] - offset[1]).max() > 1e-3


def test_absent_parts_rest_and_more_betas_than_the_model_has_are_cut(standin_dir):
    model = PosingModel.load(standin_dir)
    wide = {"betas": np.ones((1, 16)), "global_orient": np.zeros((1, 3))}
    narrow = {"betas": np.ones((1, 10)), "global_orient": np.zeros((1, 3))}
    np.testing.assert_array_equal(model.joints(wide), model.joints(narrow))


def test_assets_have_the_published_sizes(standin_dir):
    assets = load_evaluation_assets(standin_dir)
    assert assets.J_regressor.shape == (55, 10475)
    assert assets.J14.shape == (14, 10475)
    assert len(assets.left_hand_ids) == len(assets.right_hand_ids) == 778
    assert len(assets.face_ids) == 5023
    assert assets.faces.shape == (20908, 3)


def test_a_missing_model_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(BodyModelError, match=r"SMPLX_FEMALE\.npz.*EHPS_BODY_MODELS"):
        model_path(tmp_path, "smplx", "female")


def test_betas_that_the_file_has_no_components_for_are_not_read_from_the_expression(standin_dir, tmp_path, monkeypatch):
    whole = posing.read_model_file(model_path(standin_dir, "smplx", "neutral"))
    columns = [*range(10), *range(300, 310)]  # as in release 1.0
    small = {**whole, "shapedirs": whole["shapedirs"][..., columns]}
    path = tmp_path / "smplx" / "SMPLX_NEUTRAL.npz"
    path.parent.mkdir()
    path.touch()
    monkeypatch.setattr(posing, "read_model_file", lambda _: small)
    values = {"betas": np.ones((1, 10)), "expression": np.ones((1, 10))}
    expected = PosingModel.load(standin_dir, num_betas=10).vertices(values)
    np.testing.assert_allclose(PosingModel.load(tmp_path, num_betas=10).vertices(values), expected)
    with pytest.raises(BodyModelError, match=r"SMPLX_NEUTRAL.npz holds 10 shape components, but .* with 11 betas"):
        PosingModel.load(tmp_path, num_betas=11)
    monkeypatch.undo()
    with pytest.raises(BodyModelError, match="holds 10 shape components"):
        PosingModel.load(standin_dir, "smpl", num_betas=11)


def test_the_environment_names_the_models(monkeypatch, tmp_path, standin_dir):
    assert model_dir() == standin_dir
    assert is_standin(standin_dir)
    assert not is_standin(tmp_path)
    monkeypatch.setenv("EHPS_BODY_MODELS", "")
    assert model_dir() is None
    with pytest.raises(BodyModelError, match="EHPS_BODY_MODELS is not set"):
        require_model_dir()
    monkeypatch.setenv("EHPS_BODY_MODELS", str(tmp_path / "gone"))
    with pytest.raises(BodyModelError, match="not a folder"):
        model_dir()


def test_the_fingerprint_tells_models_apart(standin_dir):
    assert model_fingerprint(standin_dir) != model_fingerprint(standin_dir, "smplx", "male")
