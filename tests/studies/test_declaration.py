"""What a study says of itself, and which runs follow from it."""

import pytest

from ehps.errors import StudyError, UnknownNameError
from ehps.studies.declaration import (
    DatasetsStudy,
    FinetuneStudy,
    ScalingStudy,
    converted_members,
    read_study,
    require_scorable,
    scorable_protocols,
    write_study,
)
from ehps.studies.runs import runs_of
from ehps.tests.studies.conftest import declared
from ehps.training.recipes import get_recipe

PLACES = {"catalog": "data", "results": "results", "protocols": ("ehf",)}


def test_a_declaration_is_read_as_it_was_written_and_changes_are_named(tmp_path):
    study = ScalingStudy(name="scaling", mixtures=("5",), sizes=("s", "b"), **PLACES)
    assert write_study(study, tmp_path) == []
    assert read_study(tmp_path) == study
    assert study.catalog.is_absolute()
    larger = study.model_copy(update={"sizes": ("s", "b", "l")})
    assert write_study(larger, tmp_path) == ["sizes was s b and is s b l"]
    other = FinetuneStudy(name="scaling", checkpoint="x.pt", targets=("agora",), **PLACES)
    assert "kind was scaling and is finetune" in write_study(other, tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "study.yaml is missing: ehps study datasets, scaling or finetune begins a study"),
        ("kind: [", "is not valid YAML"),
        ("kind: grid", "'kind'"),
        ("{kind: datasets, name: a/b, catalog: d, results: r, protocols: [ehf], datasets: [ehf]}", "datasets.name: "),
    ],
)
def test_a_declaration_that_cannot_be_is_refused_in_a_sentence(tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(StudyError) as caught:
        read_study(tmp_path)
    assert sentence in str(caught.value)


def test_members_and_protocols_are_those_that_are_converted(catalog):
    there, absent = converted_members("demo_study", catalog)
    assert there == ("bedlam", "agora")
    assert "spec" in absent
    assert scorable_protocols(catalog) == ("agora_val",)
    with pytest.raises(StudyError, match="protocol ehf cannot be part of a study: nobody of ehf test"):
        require_scorable(("agora_val", "ehf"), catalog)
    with pytest.raises(StudyError, match="nobody of any protocol"):
        require_scorable((), catalog)


def test_the_study_of_datasets_trains_each_member_as_the_mixture_says():
    study = DatasetsStudy(name="alone", datasets=("bedlam", "mscoco"), settings=("steps=7",), **PLACES)
    first, second = runs_of(study)
    assert (first.model, first.revision, first.recipe.mixture) == ("alone-bedlam", "step-7", "forty/bedlam")
    assert second.recipe.name == "alone-mscoco"
    assert {run.recipe.steps for run in (first, second)} == {7}
    with pytest.raises(StudyError, match="alone: bedlam is listed twice"):
        runs_of(study.model_copy(update={"datasets": ("bedlam", "bedlam")}))


def test_the_published_grid_is_sizes_by_sources():
    study = ScalingStudy(name="scaling", settings=("vitpose=vitpose_{size}.pth",), **PLACES)
    runs = {run.name: run.recipe for run in runs_of(study)}
    assert len(runs) == 20
    assert (runs["b-32"].mixture, runs["b-32"].vitpose) == ("thirty_two", "vitpose_b.pth")
    assert runs["b-32"].network.embed_dim == 768
    assert runs["b-32"].steps > 5 * runs["b-5"].steps
    by_hand = get_recipe("smplestx_h40", ["name=scaling-h-40", "vitpose=vitpose_h.pth"])
    assert runs["h-40"] == by_hand
    with pytest.raises(UnknownNameError, match="smplerx_s40"):
        runs_of(study.model_copy(update={"recipe": "smplerx"}))


def test_any_recipe_takes_any_mixture_and_size(tmp_path):
    mine = tmp_path / "mine.yaml"
    study = ScalingStudy(name="s", recipe="demo", mixtures=(str(mine),), sizes=("16x2x4", "l"), **PLACES)
    small, large = runs_of(study)
    assert (small.name, small.recipe.mixture) == ("16x2x4-mine", str(mine))
    assert small.recipe.network[:3] == (16, 2, 4)
    assert small.recipe.network.dim_out == 32
    assert large.recipe.network.embed_dim == 1024
    with pytest.raises(StudyError, match="look like 96x3x3, found 'xl'"):
        runs_of(study.model_copy(update={"sizes": ("xl",)}))


def test_a_member_whose_name_is_no_folder_gets_one(tmp_path, catalog):
    (tmp_path / "m.yaml").write_text(
        "{about: a, strategy: concat, members: [{dataset: bedlam, name: rare poses, where: 'true'}]}"
    )
    (run,) = runs_of(declared(catalog, tmp_path, mixture=str(tmp_path / "m.yaml"), datasets=("rare poses",)))
    assert run.name == "rare_poses"
    assert run.recipe.mixture.endswith("m.yaml/rare poses")
