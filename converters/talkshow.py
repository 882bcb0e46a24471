"""TalkSHOW: four speakers of talk shows and lectures, SMPL-X fitted to clips of YouTube videos (Yi et al., CVPR 2023).

A pickle a clip. Pictures are the user's: either frames cut out at 30 a second, or the downloaded videos, in which a
frame is found by its time. Only upper bodies are seen; legs are what the fit made of nothing.
Facts: SHOW ``README.md``, ``download_youtube.py``; MMHuman3D ``talkshow.py``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..body.models import model_dir
from ..errors import PictureError, RawFileError, RawSchemaError
from ..shards.record import Camera, ContainedPicture, Frame, Labels, Origin, Person, Provenance, Reject
from .formats.pca_hands import hand_components
from .formats.show_pickle import NUM_COMPONENTS, Clip, read_clip
from .formats.show_tree import HINT, clips_of, picture_places, start_of
from .formats.video import VideoFrame, frame_at
from .pictures import assemble, need_pictures
from .raw import broken_rows, natural_key
from .source import Source, slug

VERSION = 1

FPS = 30  # of the labels
_PLACES = frozenset({"frames", "video", "body_models"})  # roles of files that are no clips


def sources(root: Path, split: str) -> list[Source]:
    """Return the videos of a split, each with its clips."""
    units, models = [], model_dir()
    for video, clips in clips_of(root, split).items():
        files = clips | picture_places(root, video) | ({} if models is None else {"body_models": models})
        units.append(Source(slug("-".join(video)), root, split, files, {"video": "/".join(video)}))
    return units


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every frame of a video's clips, or why a frame or a clip is left out."""
    components = hand_components(source.files.get("body_models"), "neutral", NUM_COMPONENTS)
    for name, path in _clips(source):
        people, place = 1, Provenance(file=source.relative(path), row="all frames")
        try:
            clip = read_clip(path, components)
            people = clip.frames
            images = _images(source, name, people)
        except (RawFileError, RawSchemaError, PictureError) as error:
            reason = error.reason if isinstance(error, PictureError) else "bad_clip"
            yield Reject(key=name, reason=reason, detail=str(error), provenance=place, people=people)
        else:
            yield from _frames(source, name, clip, images)


def count_people(source: Source) -> int:
    """Return the number of labelled frames; a clip that cannot be read counts as one."""
    return sum(_length(path) for _, path in _clips(source))


def _length(path: Path) -> int:
    """Return the number of frames of a clip, 1 when it cannot be read."""
    try:
        return read_clip(path, {}).frames
    except (RawFileError, RawSchemaError):
        return 1


def _clips(source: Source) -> list[tuple[str, Path]]:
    """Return the clips of a video by name."""
    return [(name, path) for name, path in source.files.items() if name not in _PLACES]


def _images(source: Source, clip: str, frames: int) -> Sequence[Path | ContainedPicture]:
    """Return the picture of each frame of a clip; PictureError when there are more or fewer than labels."""
    if "video" in source.files:
        video, start = source.files["video"], start_of(source.files[clip])
        times = [start + i / FPS for i in range(frames)]
        return [VideoFrame(video, frame_at(video, time) if need_pictures() else round(time * FPS)) for time in times]
    folder = source.files["frames"] / clip
    found = sorted(folder.glob("*.[jp][pn]g"), key=natural_key) if need_pictures() else []
    if found and len(found) != frames:
        raise PictureError(folder, "frame_count", f"{len(found)} pictures, but labels for {frames} frames", HINT)
    return found or [folder / f"{i:06d}.jpg" for i in range(1, frames + 1)]


def _frames(
    source: Source, name: str, clip: Clip, images: Sequence[Path | ContainedPicture]
) -> Iterator[Frame | Reject]:
    """Yield the frames of a clip."""
    file, track = source.relative(source.files[name]), f"{source.options['video']}/{name}"
    broken, camera = broken_rows(clip.columns, clip.columns), Camera(K=clip.K, kind="virtual_crop")
    hand: Origin | None = "pseudo" if "left_hand_pose" in clip.columns else None
    labels = Labels(body="pseudo", left_hand=hand, right_hand=hand, face="pseudo", shape="pseudo")
    for i, image in enumerate(images):
        key, provenance = f"{track}/{i:04d}", Provenance(file=file, row=str(i))
        if i in broken:
            detail = f"{file} frame {i}: NaN in {', '.join(broken[i])}"
            person = Reject(key=f"{key}/0", reason="nan_pose", detail=detail, provenance=provenance)
        else:
            person = Person(
                provenance=provenance,
                labels=labels,
                body_model="smplx",
                gender="neutral",
                transl_is_metric=False,
                track=track,
                **{field: values[i] for field, values in clip.columns.items()},
            )
        size = {"expected_size": clip.size, "camera": camera}
        yield from assemble(key, image, [person], provenance, sequence=track, frame_index=i, **size)
