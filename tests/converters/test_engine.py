"""The engine loses nobody, converts nothing twice, and says what went wrong and what to do."""

import json
import shutil
import tarfile
from concurrent.futures import BrokenExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from ehps.converters.engine import check, convert
from ehps.converters.plan import Part
from ehps.converters.storing import Storing, has_sound_chunks
from ehps.converters.units import batches
from ehps.errors import ConversionError, RawFileError, UnknownNameError
from ehps.shards import team
from ehps.shards.reader import read_people
from ehps.shards.record import Frame, Provenance, Reject
from ehps.shards.sidecar import read_sidecar
from ehps.shards.tree import read_unit


def unit(out, name="scene_0", split="train"):
    return read_unit(out / "toy" / split / name)


def states(report):
    return {unit.unit: unit.state for unit in report.units}


# What is written


def test_everyone_is_written_with_joints_boxes_and_measures(toy, run, out):
    (report,) = run()
    assert (report.frames, report.people, report.people_raw, report.rejects) == (6, 12, 12, {})
    people = list(read_people(out, "toy", "train"))
    expected = np.concatenate([toy.people(6, seed=unit)["keypoints_3d"][..., :3] for unit in (0, 1)])
    np.testing.assert_allclose([person.joints_3d for person in people], expected, atol=1e-5)
    assert all(person.left_hand_bbox_xyxy is not None for person in people)
    assert {person.person_key for person in people} >= {"toy-train-train_0_0000#0", "toy-train-train_1_0002#1"}


def test_the_summary_of_a_unit_says_how_it_was_made(run, out):
    run(options={"mistake": "none"})
    made = unit(out)["conversion"]
    assert (made["converter_version"], made["options"], made["limit"]) == (1, {"mistake": "none"}, None)
    assert set(made["body_model"]) == {"smplx/neutral"}
    assert made["raw"]["files"] == 1
    found = unit(out)["checks"]
    assert found["measures"]["reprojection_px"]["count"] == 6
    assert found["measures"]["reprojection_px"]["max"] == 0
    for kind, unit_of_kind in (("2d", "px"), ("3d", "mm")):
        hands = found["hands"][kind]
        assert hands["as_stored"] == 0
        assert (hands["people"], hands["unit"], hands["verdict"]) == (6, unit_of_kind, "as_stored")
    assert (found["swapped"], found["warnings"]) == (0, [])


def test_a_catalog_is_built_at_the_end(toy, raw, out):
    from ehps.shards.catalog import query

    convert("toy", raw, out)
    row = query(
        out, "SELECT count(*) AS n, max(quality_reprojection_px) AS worst, min(quality_owner_score) AS own FROM people"
    )
    assert row.iloc[0].tolist() == [12, 0, 0.5]


# Splits, units, limits


def test_all_splits_that_have_files_are_converted(toy, raw, out):
    train, val = convert("toy", raw, out, catalog=False)
    assert (train.people, val.people) == (12, 0)
    assert "no units here" in val.absent
    toy.build(raw, units=1, frames=1, split="val")
    assert [report.people for report in convert("toy", raw, out, catalog=False)] == [12, 2]


def test_a_split_without_files_is_an_error_when_asked_for(run):
    with pytest.raises(RawFileError, match="no units here"):
        run("val")


def test_a_tree_without_any_split_is_an_error(toy, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "readme").touch()
    with pytest.raises(RawFileError, match="no units here"):
        convert("toy", tmp_path / "other", tmp_path / "out")


def test_only_takes_units_by_pattern_and_knows_the_others(run):
    (report,) = run(only="*_1")
    assert states(report) == {"scene_1": "done"}
    with pytest.raises(UnknownNameError, match=r"'scene_3'; did you mean scene_[01]"):
        run(only="scene_3")


def test_a_limit_takes_people_to_whole_frames(run, out):
    assert [u.people for u in run(limit=3)[0].units] == [4, 4]
    assert unit(out)["conversion"]["limit"] == 3


def test_rejected_people_count_towards_a_batch_and_a_limit():
    nowhere = Provenance(file="f", row="0")
    many = [Reject(key=str(i), reason="r", detail="d", provenance=nowhere, people=400) for i in range(10)]
    assert [len(rejects) for _, rejects in batches(many, None)] == [3, 3, 3, 1]
    assert [len(rejects) for _, rejects in batches(many, 1400)] == [3, 1]


def test_pictures_in_memory_are_held_for_a_short_batch_only():
    film = (Frame(key=str(i), image=bytes(30 << 20), width=1, height=1, people=()) for i in range(4))
    assert [len(frames) for frames, _ in batches(film, None)] == [3, 1]


# Parts, pictures, shards


def test_parts_on_several_machines_make_up_the_whole(toy, raw, out, run, tree, tmp_path):
    toy.build(raw, units=1, frames=2, split="val")
    for number in (1, 2, 3):
        convert("toy", raw, out, part=Part(number, 3))
        assert not (out / "catalog.duckdb").exists()
        assert len(list(out.glob("toy/*/*"))) == number
    convert("toy", raw, tmp_path / "whole")
    assert (tmp_path / "whole" / "catalog.duckdb").exists()
    assert tree(out) == tree(tmp_path / "whole")


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(ValueError, match="a part is i/n"):
        Part.parse(text)
    assert Part.parse("2/3") == Part(2, 3)


def test_bytes_do_not_depend_on_the_threads_that_look_at_pictures(raw, out, run, tree, tmp_path, monkeypatch):
    for processors in (1, 5):
        monkeypatch.setattr("os.cpu_count", lambda processors=processors: processors)
        convert("toy", raw, tmp_path / str(processors), "train", catalog=False)
    assert tree(tmp_path / "1") == tree(tmp_path / "5")


def test_labels_alone_need_no_pictures_and_hold_everyone(raw, out, run):
    shutil.rmtree(raw / "images")
    (report,) = run(storing=Storing(images="none"))
    assert (report.people, report.rejects) == (12, {})
    with tarfile.open(next((out / "toy" / "train" / "scene_0").glob("*.tar"))) as archive:
        assert not {Path(name).suffix for name in archive.getnames()} & {".jpg", ".png"}


def test_everyone_can_have_a_picture_of_their_own(run, out):
    (report,) = run(storing=Storing(images="person"))
    assert (report.frames, report.people) == (12, 12)
    with tarfile.open(next((out / "toy" / "train" / "scene_0").glob("*.tar"))) as archive:
        assert sum(name.endswith(".jpg") for name in archive.getnames()) == 6


def test_pictures_are_copied_or_tiled_as_asked_and_changing_that_converts_again(raw, run, out):
    def stored():
        sidecars = (out / "toy" / "train").glob("*/toy-*.parquet")
        return {row["image_stored"] for path in sidecars for row in read_sidecar(path).to_pylist()}

    run()
    assert stored() == {"tiled"}
    (report,) = run(storing=Storing(jpeg="keep"))
    assert report.units[0].message == "again: storing was {'jpeg': 'tile'}, is {'jpeg': 'keep'}"
    assert stored() == {"as_distributed"}


def test_shards_are_as_large_as_asked(run, out):
    run(only="scene_0")
    (whole,) = unit(out)["shards"]
    run(only="scene_0", max_shard_bytes=whole["size"] // 2)
    shards = unit(out)["shards"]
    assert len(shards) > 1
    assert all(shard["size"] <= whole["size"] // 2 for shard in shards)


# Rejects and conservation


def test_bad_pictures_cost_their_people_and_nobody_else(toy, raw, out, run):
    images = raw / "images"
    (images / "train_0_0000.jpg").unlink()
    (images / "train_0_0001.jpg").write_bytes((images / "train_0_0001.jpg").read_bytes()[:200])
    cv2.imwrite(str(images / "train_1_0002.jpg"), np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(ConversionError, match=r"6 of 12 people \(50.0%\) were rejected, the card allows 20.0%"):
        run()
    assert unit(out)["rejects"] == {"damaged_image": 2, "missing_image": 2}
    assert unit(out, "scene_1")["rejects"] == {"image_size": 2}
    examples = unit(out)["checks"]["examples"]
    assert examples["missing_image"] == "train_0_0000: images/train_0_0000.jpg: the picture is not there"
    assert len(list(read_people(out))) == 6


def test_damage_in_the_middle_of_a_png_is_found(raw, out, run):
    noise = np.random.default_rng(0).integers(0, 255, (256, 192, 3), np.uint8)
    good = cv2.imencode(".png", noise)[1].tobytes()
    bad = good[:5000] + b"damage" + good[5006:]
    assert has_sound_chunks(good)
    for frame, data in enumerate((good, bad)):
        (raw / "images" / f"train_0_000{frame}.jpg").write_bytes(data)
    with pytest.raises(ConversionError, match="damaged_image 2"):
        run(only="scene_0")
    assert unit(out)["people"] == 4


def test_damage_inside_a_jpeg_costs_its_people(raw, out, run):
    path = raw / "images" / "train_0_0000.jpg"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2] = b"\xff\xc4"  # a marker where there can be none
    path.write_bytes(data)
    (report,) = run()
    assert report.rejects == {"damaged_image": 2}
    assert (report.people, report.people_raw) == (10, 12)


def test_a_reject_of_the_converter_counts_all_its_people(toy, raw, out, run):
    names = ["train_0_0000.jpg"] * 4 + ["crowd.jpg"] * 2
    toy.change(raw, 0, image=np.array(names))
    (report,) = run()
    assert report.rejects == {"crowd": 2}
    assert (report.people, report.people_raw) == (10, 12)
    assert report.summary()["reasons"] == "crowd 2"


def test_losing_a_person_fails_the_unit(run, out):
    with pytest.raises(ConversionError, match=r"its raw files hold 7 people, but 6 were written and 0 rejected"):
        run(options={"mistake": "loses_people"}, only="scene_0")
    assert unit(out) is None


def test_bounds_of_the_card_reject_people(toy, run, out, monkeypatch):
    toy.register(monkeypatch.setattr, max_reject=1.0, max_reprojection_px=10)
    (report,) = run(options={"mistake": "aside"})
    assert report.rejects == {"reprojection": 12}
    assert report.frames == 0


@pytest.mark.parametrize(
    ("mistake", "verdict"),
    [("mean_twice", "mean_removed"), ("mean_forgotten", "mean_added"), ("swapped_hands", "swapped")],
)
def test_a_wrong_hand_convention_is_noticed(run, out, mistake, verdict):
    (report,) = run(options={"mistake": mistake})
    assert {kind: found["verdict"] for kind, found in unit(out)["checks"]["hands"].items()} == {
        "2d": verdict,
        "3d": verdict,
    }
    for text in (f"hands fit better as {verdict} (0.0 px)", f"hands fit better as {verdict} (0.0 mm)"):
        assert any(text in warning for warning in report.warnings)


def test_people_labelled_the_wrong_way_round_are_noticed(run, out):
    (report,) = run(options={"mistake": "turned"})
    assert unit(out)["checks"]["swapped"] == 6
    assert any(
        "6 of 6 people fit their keypoints better with left and right swapped" in text for text in report.warnings
    )


def test_without_body_models_keypoints_still_convert(run, out, monkeypatch):
    monkeypatch.delenv("EHPS_BODY_MODELS")
    (report,) = run()
    assert unit(out)["conversion"]["body_model"] is None
    assert unit(out)["conversion"]["body_model_missing"] == ["smplx/neutral"]
    person = next(iter(read_people(out)))
    assert person.joints_3d is None
    assert person.bbox_xyxy is not None
    assert any("no body model smplx/neutral" in text for text in report.warnings)
    monkeypatch.setenv("EHPS_BODY_MODELS", "standin")
    assert set(states(run()[0]).values()) == {"done"}
    assert next(iter(read_people(out))).joints_3d is not None


# Failures


def test_a_bug_in_one_unit_does_not_stop_the_others(toy, raw, out, run):
    toy.change(raw, 0, transl=np.full((6, 3), np.nan, np.float32))
    with pytest.raises(ConversionError) as caught:
        run()
    sentence = str(caught.value)
    assert "toy train: 1 of 2 units failed" in sentence
    assert "scene_0: record train_0_0000: transl should be finite" in sentence
    assert unit(out) is None
    assert unit(out, "scene_1")["people"] == 6
    toy.change(raw, 0, transl=np.tile(np.float32([0, 0, 3]), (6, 1)))
    assert states(run()[0]) == {"scene_0": "done", "scene_1": "skipped"}


def test_an_unforeseen_error_is_kept_with_its_trace(out, run):
    with pytest.raises(ConversionError, match="KeyError: 'smplx_parms'"):
        run(options={"mistake": "bug"})
    live = json.loads((out / ".log" / "toy-train" / "scene_0.json").read_text())
    assert live["state"] == "failed"
    assert "in _bug" in live["trace"]
    assert not list((out / ".tmp").glob("*"))


# Several workers


def test_processes_write_the_same_bytes_and_report_errors_in_full(toy, raw, run, out, tree, tmp_path):
    toy.change(raw, 0, transl=np.full((6, 3), np.nan, np.float32))
    told = []
    with pytest.raises(ConversionError, match=r"scene_0: record train_0_0000: transl should be finite"):
        run(jobs=2, progress=told.append)
    told_of_1 = [event.state for event in told if event.unit == "scene_1"]
    assert (told_of_1[0], told_of_1[-1]) == ("queued", "done")
    with pytest.raises(ConversionError):
        convert("toy", raw, tmp_path / "serial", "train", catalog=False)
    assert len(tree(out)) == 4
    assert tree(out) == tree(tmp_path / "serial")


def test_a_worker_that_dies_fails_its_unit_only(toy, raw, run, out):
    with pytest.raises(ConversionError, match=r"unit scene_0 was lost: its worker process died twice"):
        run(jobs=2, options={"mistake": "killed"}, only="scene_0")
    assert unit(out) is None


def test_a_pool_that_breaks_between_units_is_replaced(run, monkeypatch):
    class Fragile(team.SerialExecutor):
        calls = 0

        def submit(self, fn, /, *args, **kwargs):
            Fragile.calls += 1
            if Fragile.calls == 2:
                raise BrokenExecutor
            return super().submit(fn, *args, **kwargs)

    monkeypatch.setattr(team, "SerialExecutor", Fragile)
    assert states(run()[0]) == {"scene_0": "done", "scene_1": "done"}
    assert Fragile.calls == 3


def test_a_dask_cluster_writes_the_same_bytes(raw, run, out, tree, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        (report,) = run(scheduler=cluster.scheduler_address)
    assert set(states(report).values()) == {"done"}
    convert("toy", raw, tmp_path / "serial", "train", catalog=False)
    assert tree(out) == tree(tmp_path / "serial")


# Telling


def test_progress_follows_each_unit_from_queue_to_end(run):
    told = []
    run(progress=told.append)
    assert [(e.unit, e.state) for e in told if e.unit == "scene_1"] == [
        ("scene_1", "queued"),
        ("scene_1", "running"),
        ("scene_1", "running"),
        ("scene_1", "done"),
    ]
    assert told[-1].text == "toy train scene_1: 6 people"
    assert (told[-1].total, told[-1].frames, told[-1].rejected) == (2, 3, 0)
    assert json.loads(json.dumps(told[-1].to_json()))["state"] == "done"


def test_the_log_has_one_line_for_each_unit_that_ended(run, out):
    run(only="scene_0")
    run()
    lines = [json.loads(line) for line in (out / ".log" / "toy-train.jsonl").read_text().splitlines()]
    assert [(line["unit"], line["state"], line["people"]) for line in lines] == [
        ("scene_0", "done", 6),
        ("scene_1", "done", 6),
    ]
    assert all(line["seconds"] > 0 and line["frames_per_second"] > 0 and line["finished"] > 0 for line in lines)
    report = json.loads((out / ".log" / "toy-train.report.json").read_text())
    assert (report["people"], report["states"]) == (12, {"skipped": 1, "done": 1})


# Checking without converting


def test_a_check_tells_what_a_conversion_would_find_and_writes_nothing(toy, raw, tmp_path, monkeypatch):
    toy.register(monkeypatch.setattr, max_reject=0.1)
    (raw / "images" / "train_0_0000.jpg").unlink()
    before = sorted(tmp_path.rglob("*"))
    report = check("toy", raw, "train", limit=5, options={"mistake": "mean_twice"})
    assert sorted(tmp_path.rglob("*")) == before
    assert report.rejects == {"missing_image": 2}
    assert report.measures["joint_error_mm"]["count"] == 10
    tables = dict(report.tables())
    assert tables["left out"][0]["for example"] == "train_0_0000: images/train_0_0000.jpg: the picture is not there"
    assert tables["train: do the labels agree?"][0]["people"] == 10
    assert "16.7% of the people would be rejected, the card allows 10.0% (missing_image 2)" in report.warnings[0]
    assert json.loads(json.dumps(report.to_json()))["splits"][0]["people"] == 10


def test_a_check_reports_units_that_fail(toy, raw):
    report = check("toy", raw, "train", options={"mistake": "nan"})
    assert any(text.startswith("train/scene_1 failed: record") for text in report.warnings)


def test_a_sound_source_has_no_warnings(toy, raw):
    report = check("toy", raw, "train")
    assert report.warnings == []
    verdicts = {finding.check: finding.verdict for finding in report.findings["train"]}
    assert verdicts["distance from the 3D keypoints"] == "no bound"
    assert verdicts["body inside its box"] == verdicts["better if left and right were swapped"] == "good"
