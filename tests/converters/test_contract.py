"""What every converter owes us. A new source gets these tests by having a card, a converter and a fake raw tree."""

import hashlib
import importlib
import pickle
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ehps.cards import card_ids, load_card
from ehps.converters import converter_ids, converter_options, get_converter, list_sources
from ehps.converters.pictures import labels_alone
from ehps.errors import RawFileError, UnknownNameError
from ehps.shards.picture import picture_size
from ehps.shards.record import ContainedPicture, Frame, Person, Reject, array_fields, check_person
from ehps.tests.raw._recovery import converted, differences_of, worst

ROOT = Path(__file__).resolve().parents[2]
IDS = converter_ids()


@pytest.fixture(scope="module", params=IDS)
def dataset(request):
    return request.param


@pytest.fixture(scope="module")
def fake(dataset):
    return importlib.import_module(f"ehps.tests.raw.{dataset}")


@pytest.fixture(scope="module")
def raw(fake, tmp_path_factory, built):
    """The root of the fake tree, and the truth about it; tests only read it."""
    root = tmp_path_factory.mktemp("raw")
    return root, built(fake, root)


@pytest.fixture(scope="module")
def before(raw):
    """The checksums of the fake tree before anything was converted."""
    return checksums(raw[0])


def everything(dataset, fake, root) -> dict[str, list[Frame | Reject]]:
    with pytest.MonkeyPatch.context() as patch:  # the fixture that sets it for every test comes after those of a module
        patch.setenv("EHPS_BODY_MODELS", "standin")
        return {split: list(converted(dataset, root, split)) for split in fake.SPLITS}


@pytest.fixture(scope="module")
def records(dataset, fake, raw, before):
    return everything(dataset, fake, raw[0])


@pytest.fixture(scope="module")
def clean(dataset, fake, tmp_path_factory, built):
    """The root of a tree without bad records, whose pictures a test may remove, and what was converted from it."""
    root = tmp_path_factory.mktemp("clean")
    built(fake, root, bad=False)
    return root, everything(dataset, fake, root)


def frames_of(records) -> list[Frame]:
    return [record for split in records.values() for record in split if isinstance(record, Frame)]


def people_of(records) -> list[Person]:
    return [person for frame in frames_of(records) for person in frame.people]


def rejects_of(records) -> list[Reject]:
    return [record for split in records.values() for record in split if isinstance(record, Reject)]


def checksums(root: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}


def test_counts_are_the_fake_tree_s(fake, raw, records):
    assert raw[1].expected == fake.EXPECTED
    for split, want in fake.EXPECTED.items():
        frames = [record for record in records[split] if isinstance(record, Frame)]
        assert len(frames) == want["frames"]
        assert sum(len(frame.people) for frame in frames) == want["people"]
        rejects = Counter()
        for reject in records[split]:
            if isinstance(reject, Reject):
                rejects[reject.reason] += reject.people
        assert rejects == want["rejects"]


def test_people_stand_where_the_fake_tree_put_them(raw, records):
    found = differences_of(records, raw[1])
    mesh_mm, joints_px, keypoints_px = worst(found)
    assert not mesh_mm > 0.1
    assert not joints_px > 0.1
    assert not keypoints_px >= 0.75, "half a pixel each way is what rounding to whole pixels costs"
    assert not any(one.missing for one in found)
    assert not any(one.invented for one in found)


def test_keys_are_unique_within_a_split(records):
    for split in records.values():
        keys = [record.key for record in split if isinstance(record, Frame)]
        assert len(set(keys)) == len(keys)


def test_records_keep_the_record_s_contract(records):
    for frame in frames_of(records):
        for person in frame.people:
            check_person(frame.key, person)


def test_people_are_in_front_of_the_camera(records):
    for person in people_of(records):
        if person.transl is not None:
            assert person.transl[2] > 0
        if person.vertices is not None:
            assert person.vertices[:, 2].min() > 0


def test_the_two_hands_of_a_person_differ(records):
    for person in people_of(records):
        if person.left_hand_pose is not None and person.right_hand_pose is not None:
            mirrored = person.right_hand_pose * [1, -1, -1]
            assert np.abs(person.left_hand_pose - person.right_hand_pose).max() > 0.05
            assert np.abs(person.left_hand_pose - mirrored).max() > 0.05


def test_labels_say_what_a_person_carries(records):
    for person in people_of(records):
        has_mesh = person.vertices is not None
        assert (person.labels.body is not None) == (person.body_pose is not None or has_mesh)
        assert (person.labels.left_hand is not None) == (person.left_hand_pose is not None or has_mesh)
        assert (person.labels.right_hand is not None) == (person.right_hand_pose is not None or has_mesh)
        assert (person.labels.face is not None) == (person.expression is not None or has_mesh)
        assert (person.labels.shape is not None) == (person.betas is not None)
        assert (person.labels.keypoints_2d is not None) == (person.keypoints_2d is not None)


def test_the_card_promises_no_label_that_nobody_carries(dataset, records):
    promised = load_card(dataset).labels
    for part in ("body", "left_hand", "right_hand", "face", "shape", "keypoints_2d"):
        found = {getattr(person.labels, part) for person in people_of(records)} - {None}
        assert found == {getattr(promised, part)} - {None}, part


def test_frames_state_the_size_of_the_turned_picture(raw, records):
    for frame in frames_of(records):
        assert getattr(frame.image, "path", frame.image).is_relative_to(raw[0])  # of a picture inside a file: the file
        assert frame.width > 0
        assert frame.height > 0
        if frame.camera.K is not None:
            assert abs(frame.camera.K[0, 2] / frame.width - 0.5) < 0.1
            assert abs(frame.camera.K[1, 2] / frame.height - 0.5) < 0.1


def test_pictures_inside_files_travel_to_workers_and_can_be_read(records):
    for split in records.values():
        frames = [record for record in split if isinstance(record, Frame)]
        for frame in [frame for frame in frames if isinstance(frame.image, ContainedPicture)][:3]:
            assert pickle.loads(pickle.dumps(frame.image)) == frame.image
            assert frame.image.size() in ((frame.width, frame.height), (frame.height, frame.width))
            content = frame.image.read()
            size = content.shape[1::-1] if isinstance(content, np.ndarray) else picture_size(content)
            assert size == frame.image.size()


def test_provenance_leads_back_to_a_raw_file(raw, records):
    for person in people_of(records):
        for name in person.provenance.file.split(";"):
            assert (raw[0] / name).is_file()
    for reject in rejects_of(records):
        assert re.fullmatch(r"[a-z_]+", reject.reason)
        assert len(reject.detail) > 10


def test_two_runs_agree_to_the_bit(dataset, fake, raw, records):
    for split in fake.SPLITS:
        again = list(converted(dataset, raw[0], split))
        assert [record.key for record in again] == [record.key for record in records[split]]
        for one, two in zip(people_of({split: again}), people_of({split: records[split]}), strict=True):
            assert {n: v.tobytes() for n, v in array_fields(one).items()} == {
                n: v.tobytes() for n, v in array_fields(two).items()
            }


def test_the_raw_tree_stays_as_it_is(raw, before, records):
    assert all(records.values())
    assert checksums(raw[0]) == before


def test_a_tree_without_bad_records_has_no_rejects(clean):
    assert not rejects_of(clean[1])


def containers_without_labels(frames, root) -> set[Path]:
    """Return the files that hold pictures, such as videos, and from which no label was read."""
    holding = {frame.image.path for frame in frames if isinstance(frame.image, ContainedPicture)}
    names = {name for frame in frames for person in frame.people for name in person.provenance.file.split(";")}
    return holding - {root / name for name in names}


def test_labels_alone_are_the_same_people_without_any_picture(dataset, fake, clean):
    root, before = clean
    for path in [
        *root.rglob("*.jpg"),
        *root.rglob("*.png"),
        *containers_without_labels(frames_of(before), root),
    ]:
        path.unlink()
    for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    with labels_alone(True):
        after = everything(dataset, fake, root)
    for one, two in zip(frames_of(before), frames_of(after), strict=True):
        assert (one.key, one.width, one.height) == (two.key, two.width, two.height)
        assert [list(array_fields(p)) for p in one.people] == [list(array_fields(p)) for p in two.people]


def test_units_travel_to_workers_and_have_names_of_their_own(dataset, fake, raw):
    for split in fake.SPLITS:
        units = list_sources(dataset, raw[0], split)
        assert len({unit.name for unit in units}) == len(units) > 0
        assert pickle.loads(pickle.dumps(units)) == units
        assert [unit.name for unit in units] == [unit.name for unit in list_sources(dataset, raw[0], split)]


def test_an_empty_root_says_how_to_get_the_data(dataset, fake, tmp_path):
    with pytest.raises(RawFileError, match=f"ehps card {dataset}"):
        list_sources(dataset, tmp_path, fake.SPLITS[0])
    with pytest.raises(RawFileError, match=f"ehps card {dataset}"):
        list_sources(dataset, tmp_path / "nowhere", fake.SPLITS[0])


def test_a_tree_of_something_else_names_what_is_missing(dataset, fake, tmp_path):
    (tmp_path / "holiday.txt").write_text("not a dataset")
    for split in fake.SPLITS:
        with pytest.raises(RawFileError, match=re.escape(str(tmp_path))):
            list_sources(dataset, tmp_path, split)


def test_unknown_splits_and_options_name_the_nearest(dataset, tmp_path):
    with pytest.raises(UnknownNameError, match="split of"):
        list_sources(dataset, tmp_path, "trian")
    with pytest.raises(UnknownNameError, match="option of"):
        list_sources(dataset, tmp_path, load_card(dataset).splits[0], {"nonsense": "1"})


def test_the_card_fits_the_converter(dataset, fake):
    card = load_card(dataset)
    assert tuple(card.splits) == fake.SPLITS == tuple(fake.EXPECTED)
    assert card.pitfalls
    assert card.raw.tree
    assert card.raw.how
    assert get_converter(dataset).VERSION >= 1
    for option, default in converter_options(dataset).items():
        assert isinstance(default, str)
        assert f"{option}=" in card.raw.how, f"the card should tell users of the option {option}"


def test_a_converter_stays_small(dataset):
    lines = (ROOT / "converters" / f"{dataset}.py").read_text(encoding="utf-8").count("\n")
    assert lines <= 150, f"{lines} lines: move what is shared to converters/formats/"


def test_every_converter_module_has_a_card():
    modules = [path for path in (ROOT / "converters").glob("*.py") if "\ndef frames(" in path.read_text("utf-8")]
    assert {path.stem for path in modules} == set(IDS) <= set(card_ids())


def test_converters_start_without_torch():
    imports = "; ".join(f"import ehps.converters.{name}" for name in IDS)
    code = f"import sys; {imports}; assert not {{'torch', 'smplx'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_converter_names_the_nearest():
    with pytest.raises(UnknownNameError, match="bedlam"):
        get_converter("bedlm")
