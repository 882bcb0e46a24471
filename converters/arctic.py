"""ARCTIC: one person in a studio handles an object before eight fixed cameras and one on the head (Fan, CVPR 2023).

SMPL-X was fitted to markers, with the subject's own template in place of betas. The user's gendered model, given that
template, tells the rest pelvis that the change of space needs, the joints, and the meshes that evaluations ask for.
Objects and the MANO fits of the hands, which lie beside SMPL-X's, are not read.
Facts: arctic ``docs/data``, ``src/arctic/split.py``, ``src/datasets/arctic_dataset.py``.
"""

from collections.abc import Iterator
from pathlib import Path

from ..body.models import model_dir
from ..errors import UnknownNameError
from ..shards.record import Frame, Reject
from .formats.arctic_files import read_bodies
from .formats.arctic_sequence import Sequence
from .pictures import assemble, need_pictures, picture_dir
from .raw import first_dir, first_file, load_json, require
from .source import Source, slug

VERSION = 1

VIEWS = {"p1": range(1, 9), "p2": range(1)}  # of the owner's two protocols
MESHES = {"val": ("val",), "none": (), "all": ("train", "val")}  # splits whose people carry meshes
EDGE = 10  # first and last pictures that the owner leaves out: they may be black
FILES = {"bodies": "smplx", "hands": "mano", "egocentric": "egocam.dist"}
_BASES = ("", "data/", "arctic_data/data/", "data/arctic_data/data/")  # as the owner's scripts unpack
_BLOCK = 128  # frames posed at once: a mesh takes a quarter of a megabyte


def sources(root: Path, split: str, *, protocol: str = "p1", mesh: str = "val") -> list[Source]:
    """Return the sequences of a split whose pictures are there.

    ``protocol`` p1 are the fixed cameras, p2 the one on the head; ``mesh`` names the splits whose people carry meshes.
    """
    for what, name, known in (("protocol", protocol, VIEWS), ("choice of meshes", mesh, MESHES)):
        if name not in known:
            raise UnknownNameError(what, name, known)
    meta, models = first_file(root, *(f"{base}meta/misc.json" for base in _BASES)), model_dir()
    base = meta.parents[1]
    path = first_file(base, f"splits_json/protocol_{protocol}.json")
    sequences = load_json(path)
    require(path, sequences, split)
    raw, images = first_dir(base, "raw_seqs"), picture_dir(base, "images")
    common = {"meta": meta} if models is None else {"meta": meta, "body_models": models}
    return [
        Source(
            slug(name),
            root,
            split,
            {role: raw / f"{name}.{kind}.npy" for role, kind in FILES.items()}
            | {
                "template": base / f"meta/subject_vtemplates/{name.split('/')[0]}.obj",
                "images": images / name,
                **common,
            },
            {"sequence": name, "protocol": protocol, "mesh": mesh},
        )
        for name in sequences[split]
        if (images / name).is_dir() or not need_pictures()
    ]


def frames(source: Source) -> Iterator[Frame | Reject]:
    """Yield every picture of a sequence with its subject, or why it is left out."""
    with_mesh = source.split in MESHES[source.options["mesh"]]
    sequence, numbers = Sequence(source, with_mesh=with_mesh), _numbers(source)
    offset = sequence.subject.offset
    for start in range(0, len(numbers), _BLOCK):
        for view in VIEWS[source.options["protocol"]]:
            block = numbers[start : start + _BLOCK]
            people = sequence.people(view, range(block.start - offset, block.stop - offset))
            for number, (camera, person) in zip(block, people, strict=True):
                yield from assemble(
                    f"{sequence.name}/{view}/{number:05d}",
                    source.files["images"] / str(view) / f"{number:05d}.jpg",
                    [person],
                    person.provenance,
                    expected_size=sequence.subject.sizes[view],
                    camera=camera,
                    sequence=sequence.name,
                    frame_index=number - offset,
                    camera_name=str(view),
                )


def count_people(source: Source) -> int:
    """Return the number of views times that of the pictures that the owner uses."""
    return len(VIEWS[source.options["protocol"]]) * len(_numbers(source))


def _numbers(source: Source) -> range:
    """Return the numbers of the pictures that the owner uses; they count otherwise than the frames of the capture."""
    return range(EDGE, len(read_bodies(source.files["bodies"])["transl"]) - EDGE)
