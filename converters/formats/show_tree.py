"""Where TalkSHOW's clips lie, and which split each belongs to.

Three trees occur: as released (a folder a clip), as the readme of SHOW describes them (a file a clip), and after the
owner's script has moved the clips into folders named for their split. In the first two the owner's list tells.
Facts: SHOW ``README.md``, ``download_youtube.py``; TalkSHOW ``data_utils/apply_split.py``, ``train_val_test.json``.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from ...errors import RawFileError, RawSchemaError
from ..raw import first_dir, load_json, natural_key, require
from .keeping import keeps_last

SPEAKERS = ("chemistry", "conan", "oliver", "seth")
SPLITS = ("train", "val", "test")
LIST = "train_val_test.json"
HINT = "ehps card talkshow shows the trees that occur"
_NAME = re.compile(r".+-(\d+)_(\d+)_(\d+)-\d+_\d+_\d+")

Video = tuple[str, str]  # speaker, name


def clips_of(root: Path, split: str) -> dict[Video, dict[str, Path]]:
    """Return the clips of a split by name, video by video; clips that are in no split are left out."""
    base = release(root)
    first_dir(base, *SPEAKERS, hint=HINT)
    chosen: dict[Video, dict[str, Path]] = {}
    for speaker in SPEAKERS:
        for path in sorted((base / speaker).glob("**/*.pkl"), key=natural_key):
            video, *folders = path.relative_to(base / speaker).parts
            if _split_of(root, speaker, video, folders, path.stem) == split:
                chosen.setdefault((speaker, video), {})[path.stem] = path
    return chosen


def release(root: Path) -> Path:
    """Return the folder that holds a folder a speaker."""
    base = root / "ExpressiveWholeBodyDatasetReleaseV1.0"
    return base if base.is_dir() else root


def _split_of(root: Path, speaker: str, video: str, folders: Sequence[str], clip: str) -> str | None:
    """Return the split of a clip: that of its folder, else of the owner's list; None for one that is in neither."""
    if folders and folders[0] in SPLITS:
        return folders[0]
    return _listed(root / LIST).get((speaker, video, clip))


@keeps_last
def _listed(path: Path) -> dict[tuple[str, ...], str]:
    """Return the split of each clip (speaker, video, clip) of the owner's list."""
    if not path.is_file():
        raise RawFileError(
            path, "no such file, and clips lie in no folder of a split", "it is in TalkSHOW's data_utils"
        )
    content = load_json(path)
    require(path, content, *SPLITS)
    return {tuple(re.split(r"[\\/]", name)[-3:]): split for split in SPLITS for name in content[split]}


def picture_places(root: Path, video: Video) -> dict[str, Path]:
    """Return the folder ``frames`` of a video, or the ``video`` itself where there is no folder and the video is there.

    Videos lie where the owner's script downloads them to.
    """
    speaker, name = video
    frames = root / "frames" / speaker / name
    files = (base / speaker / "videos" / name for base in (root / "videos", release(root)))
    found = next((path for path in files if path.is_file()), None)
    return {"frames": frames} if found is None or frames.is_dir() else {"video": found}


def start_of(path: Path) -> int:
    """Return when a clip begins in its video (s), which its name tells: 5046-00_01_23-00_01_27."""
    times = _NAME.fullmatch(path.stem)
    if times is None:
        raise RawSchemaError(path, "the name of a clip", "like 5046-00_01_23-00_01_27", path.stem)
    hours, minutes, seconds = map(int, times.groups())
    return 3600 * hours + 60 * minutes + seconds
