"""What a study is: its declaration, ``study.yaml`` in the study's folder, from which its list of runs follows."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from ..benchmark.measures import first_problem, means
from ..benchmark.protocol import load_protocol, protocols
from ..benchmark.run import not_scored
from ..errors import StudyError
from ..shards.reader import iter_shards
from ..training.mixture_spec import PAPER_MIXTURES, leaves, load_mixture
from ..yaml_text import parsed_yaml

FILE = "study.yaml"
MPE = "MPE"
SIZES = ("s", "b", "l", "h")
_FILES = (".yaml", ".yml")
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"  # it begins the names of folders

Here = Annotated[Path, BeforeValidator(lambda path: Path(path).expanduser().resolve())]
# Of a mixture; runs may look for its file from elsewhere.
MixtureName = Annotated[str, AfterValidator(lambda name: str(Path(name).resolve()) if name.endswith(_FILES) else name)]


class _Declaration(BaseModel):
    """What all studies say. Paths are absolute: runs may be done elsewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=_NAME)  # marks the results, and begins the names of the models
    catalog: Here  # folder of converted data
    results: Here
    recipe: str
    settings: tuple[str, ...] = ()  # key=value, changes to every recipe
    protocols: tuple[str, ...] = Field(min_length=1)
    keeps_predictions: bool = True


class DatasetsStudy(_Declaration):
    """One small network a data set, each trained alone for the same number of steps: Table 1 of SMPLer-X."""

    kind: Literal["datasets"] = "datasets"
    name: str = Field(default="datasets", pattern=_NAME)
    recipe: str = "smplerx_s5"
    mixture: MixtureName = "forty"  # whose members are trained on one by one: each with its stride and conditions
    datasets: tuple[str, ...] = Field(min_length=1)  # members of it


class ScalingStudy(_Declaration):
    """Networks of several sizes on several amounts of data."""

    kind: Literal["scaling"] = "scaling"
    name: str = Field(default="scaling", pattern=_NAME)
    recipe: str = "smplestx"  # a family, smplestx or smplerx, or any recipe
    mixtures: tuple[MixtureName, ...] = Field(default=tuple(map(str, PAPER_MIXTURES)), min_length=1)
    sizes: tuple[str, ...] = Field(default=SIZES, min_length=1)  # s, b, l, h, or WIDTHxDEPTHxHEADS


class FinetuneStudy(_Declaration):
    """A generalist, and what finetuning makes of it for each benchmark."""

    kind: Literal["finetune"] = "finetune"
    name: str = Field(default="finetune", pattern=_NAME)
    recipe: str = "finetune_{target}"
    checkpoint: Here  # of the generalist
    targets: tuple[str, ...] = Field(min_length=1)


Study = DatasetsStudy | ScalingStudy | FinetuneStudy
_STUDY: TypeAdapter[Study] = TypeAdapter(Annotated[Study, Field(discriminator="kind")])


def write_study(study: Study, folder: Path) -> list[str]:
    """Write the declaration into its folder and return what it says other than the one before, a sentence each."""
    before = read_study(folder) if (folder / FILE).is_file() else study
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f".{FILE}"
    hidden.write_text(yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
    hidden.replace(folder / FILE)
    old, new = (one.model_dump(mode="json") for one in (before, study))
    changed = [name for name in new if old.get(name) != new[name]]
    return [f"{name} was {_words(old.get(name))} and is {_words(new[name])}" for name in changed]


def _words(value: Any) -> str:
    return " ".join(map(str, value)) or "empty" if isinstance(value, list) else str(value)


def read_study(folder: Path) -> Study:
    """Return the study of a folder; StudyError says what its declaration lacks."""
    path = folder / FILE
    if not path.is_file():
        raise StudyError(f"{path} is missing: ehps study datasets, scaling or finetune begins a study")
    try:
        return _STUDY.validate_python(parsed_yaml(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise StudyError(f"{path} is not valid YAML ({' '.join(str(error).split())})") from error
    except ValidationError as error:
        raise StudyError(f"{path}: {first_problem(error)}") from error


def converted_members(mixture: str, catalog: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the members of a mixture of which a converted tree holds shards, and those of which it holds none."""
    there, absent = list[str](), list[str]()
    for label, member in leaves(load_mixture(mixture)):
        is_there = not member.dataset or any(True for _ in iter_shards(catalog, member.dataset, member.split))
        (there if is_there else absent).append(label)
    return tuple(there), tuple(absent)


def scorable_protocols(catalog: Path) -> tuple[str, ...]:
    """Return the protocols of MPE whose people are converted, in MPE's order; any others if there are none of these."""
    known = protocols()
    there = [name for name in known if not_scored(known[name], catalog) is None]
    return tuple(name for name in means()[MPE].protocols if name in there) or tuple(there)


def require_scorable(names: tuple[str, ...], catalog: Path) -> None:
    """Raise StudyError where a network cannot be scored under one of the protocols on this data."""
    if not names:
        raise StudyError(
            f"nobody of any protocol is converted in {catalog}; ehps protocol list shows what they ask for"
        )
    for name in names:
        if why := not_scored(load_protocol(name), catalog):
            raise StudyError(f"protocol {name} cannot be part of a study: {why}")
