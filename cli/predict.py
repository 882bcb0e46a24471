"""``ehps predict``: pose the people of pictures and videos with a trained network."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import RawFileError
from .options import JsonOption
from .output import emit_json, note, progress
from .predict_inputs import Source, Span, find_sources

if TYPE_CHECKING:
    from ..training.boxes import Box, BoxFile
    from ..training.picture_camera import CameraRule
    from ..training.prediction import FindPeople, Image, Shot
    from ..training.prediction_output import PredictionFolder
    from ..training.predictor import Predictor


class MeshFile(StrEnum):
    """The formats of meshes."""

    ply = "ply"
    obj = "obj"


def predict_pictures(
    inputs: Annotated[list[Path], typer.Argument(help="Pictures, folders of pictures, videos.")],
    checkpoint: Annotated[Path, typer.Option("--checkpoint", "-m", help="A run's folder or a checkpoint.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; not there yet.")],
    boxes: Annotated[Path | None, typer.Option("--boxes", help="JSON with tight boxes, plain or COCO's.")] = None,
    detector: Annotated[Path | None, typer.Option("--detector", help="A YOLOX file (.onnx) that finds people.")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="One person fills each picture.")] = False,
    score: Annotated[float, typer.Option("--score", min=0, max=1, help="Least score of a box that has one.")] = 0.3,
    padding: Annotated[float, typer.Option("--padding", min=1, help="Boxes are enlarged by this factor.")] = 1.2,
    focal: Annotated[float | None, typer.Option("--focal", help="Focal length of the pictures, px.")] = None,
    camera: Annotated[str | None, typer.Option("--camera", help="fx,fy,cx,cy of the pictures, px.")] = None,
    meshes: Annotated[MeshFile | None, typer.Option("--meshes", help="Write a mesh a person: ply or obj.")] = None,
    overlays: Annotated[bool, typer.Option("--overlays", help="Draw the people on pictures and videos.")] = False,
    stride: Annotated[int, typer.Option("--stride", min=1, help="Only every n-th frame of a video.")] = 1,
    first: Annotated[str, typer.Option("--from", help="First frame of a video: 120, or 4.5s.")] = "0",
    last: Annotated[str | None, typer.Option("--to", help="Last frame of a video: 240, or 9s.")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda; auto takes the GPU if there is one.")] = "auto",
    heads: Annotated[int | None, typer.Option("--heads", help="Attention heads of a released file's network.")] = None,
    threads: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Threads that decode pictures and draw.")] = 4,
    as_json: JsonOption = False,
) -> None:
    """Pose the people of pictures and videos: parameters as Parquet and npz, meshes and overlays if wanted.

    Say where people stand with --boxes, --detector or --whole. docs/prediction.md has the formats and the camera.

    Example: ehps predict clip.mp4 --checkpoint RUN --detector yolox_x.onnx --out OUT --overlays --meshes ply
    """
    from ..body.models import require_model_dir
    from ..body.posing import PosingModel
    from ..training.prediction import tracked
    from ..training.prediction_output import PredictionFolder
    from ..training.predictor import load_predictor

    if (boxes is not None) + (detector is not None) + whole != 1:
        raise typer.BadParameter("say where people stand: --boxes FILE, --detector FILE or --whole, one of them")
    sources = find_sources(inputs, Span(first, last, stride))
    find, rule = tracked(_finder(boxes, detector, score, sources)), _camera_rule(focal, camera)
    faces = PosingModel.load(require_model_dir()).triangles
    form = meshes.value if meshes else None
    with PredictionFolder(out, faces, meshes=form, overlays=overlays, threads=threads) as folder:
        predictor = load_predictor(checkpoint, device, num_heads=heads)
        if predictor.unused:
            note(f"not used of {checkpoint.name}: {', '.join(predictor.unused)}")
        settings = {"rule": rule, "padding": padding}
        for source in sources:
            _predict_source(predictor, source, find, folder, threads, settings)
        if not folder.counts["pictures"]:
            name, problem = next(iter(folder.unreadable.items()))
            raise RawFileError(name, f"cannot be read, nor can any other picture ({problem})")
        folder.finish(_facts(predictor, padding))
    _report(folder, as_json)


def _predict_source(
    predictor: "Predictor",
    source: Source,
    find: "FindPeople",
    folder: "PredictionFolder",
    threads: int,
    settings: Mapping[str, Any],
) -> None:
    """Predict some pictures, or a video, into the folder."""
    from ..training.prediction import predict_shots

    title = source.shots[0].source if source.is_video else "pictures"
    with progress(title, len(source.shots)) as advance:
        # The frames of a video come out of one decoder, in order.
        threads = 1 if source.is_video else threads
        for posed in predict_shots(predictor, source.shots, find, threads=threads, **settings):
            folder.add(posed, source.fps)
            advance()


def _finder(boxes: Path | None, detector: Path | None, score: float, sources: Sequence[Source]) -> "FindPeople":
    """Return what says where people stand."""
    from ..training.boxes import read_boxes, whole_picture
    from ..training.detector import YoloxDetector

    if boxes is not None:
        return _listed(read_boxes(boxes), score, sources)
    if detector is not None:
        find = YoloxDetector(detector, score)
        return lambda _, picture: find(picture)
    return lambda _, picture: [whole_picture(picture.shape[1], picture.shape[0])]


def _listed(boxes: "BoxFile", score: float, sources: Sequence[Source]) -> "FindPeople":
    """Return the people of a file of boxes; RawFileError where it names none of the pictures."""
    shots = [shot for source in sources for shot in source.shots]
    num_named = sum(boxes.boxes_of(shot.source, shot.frame) is not None for shot in shots)
    if not num_named:
        one = shots[0].source if shots[0].frame is None else f"frame {shots[0].frame} of {shots[0].source}"
        problem = f"names none of the {len(shots)} pictures, of which the first is {one}"
        raise RawFileError(boxes.path, problem, "name pictures as they lie below the input, frames by their number")
    if num_named < len(shots):
        note(f"{boxes.path} names {num_named} of {len(shots)} pictures; there is nobody in the others")

    def find(shot: "Shot", _: "Image") -> "list[Box]":
        there = boxes.boxes_of(shot.source, shot.frame) or ()
        return [box for box in there if box.score is None or box.score >= score]

    return find


def _camera_rule(focal: float | None, camera: str | None) -> "CameraRule":
    """Return how to come by the cameras of pictures."""
    from ..training.picture_camera import CameraRule, parsed_intrinsics

    if focal is not None and (camera is not None or focal <= 0):
        raise typer.BadParameter("--focal is a positive number of px, and --camera already holds it")
    return CameraRule(None if camera is None else parsed_intrinsics(camera), focal)


def _facts(predictor: "Predictor", padding: float) -> dict[str, Any]:
    """Return what a prediction was made with."""
    from .. import __version__
    from ..body.models import is_standin, model_fingerprint, require_model_dir

    models = require_model_dir()
    return {
        "model": predictor.name,
        "revision": predictor.revision,
        "trained_on": list(predictor.trained_on),
        "padding": padding,
        "body_model": model_fingerprint(models),
        "body_model_is_standin": is_standin(models),
        "ehps": __version__,
    }


def _report(folder: "PredictionFolder", as_json: bool) -> None:
    """Say what was written, and what was not."""
    for name, problem in folder.unreadable.items():
        note(f"left out {name}: {problem}")
    counts = folder.counts
    if counts["outside"]:
        note(f"left out {counts['outside']} boxes that hold nothing of their picture")
    if as_json:
        emit_json([{"out": str(folder.out), **counts, "unreadable": len(folder.unreadable)}])
    else:
        note(f"wrote {counts['people']} people in {counts['pictures']} pictures to {folder.out}")
