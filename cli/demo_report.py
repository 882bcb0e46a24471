"""The demo's report: contact sheets, loss curve and matrix in one folder, with a page that shows them."""

import json
from pathlib import Path
from typing import Any

from .preview import write_sheet
from .table import Form, matrix_text

_PAGE = """# ehps demo

Everything here was made by `ehps demo` from our own stand-in body; no data set was used.

## Benchmark, before and after training

```
{matrix}```

Per-person errors lie in `results/`; the same table as [CSV](matrix.csv) and [LaTeX](matrix.tex).

## Predictions on held-out people

Left to right for each person: the picture, the label, the prediction.

![predictions](predictions.png)

## Training

![loss](loss.png)

The first batch, as the network saw it, with its targets: ![first batch](../run/first_batch.png)

## Converted people

Labels drawn from the shards: keypoints, then the mesh where the source has one.

{sheets}
"""


def write_report(out: Path, data: Path, runs: Path, results: Path) -> Path:
    """Write the report into ``out/report`` and return its page."""
    folder = out / "report"
    folder.mkdir(parents=True, exist_ok=True)
    sheets = {"bedlam": ("keypoints", "mesh"), "mscoco": ("keypoints", "mesh"), "ehf": ("keypoints", "mesh")}
    for dataset, overlays in {**sheets, "ochuman": ("keypoints",)}.items():
        write_sheet(data, folder / f"{dataset}.png", dataset, None, overlays, people=12)
    write_loss_curve(runs / "log.jsonl", folder / "loss.png")
    write_predictions(runs, data, folder / "predictions.png")
    for form, name in ((Form.text, "matrix.txt"), (Form.csv, "matrix.csv"), (Form.latex, "matrix.tex")):
        (folder / name).write_text(matrix_text(results, None, form, published=False), encoding="utf-8")
    page = folder / "report.md"
    pictures = "\n\n".join(f"### {name}\n\n![{name}]({name}.png)" for name in (*sheets, "ochuman"))
    matrix = (folder / "matrix.txt").read_text(encoding="utf-8")
    page.write_text(_PAGE.format(matrix=matrix, sheets=pictures), encoding="utf-8")
    return page


def write_loss_curve(log: Path, out: Path) -> None:
    """Draw the loss and its terms over the steps of a run's log."""
    from matplotlib.figure import Figure

    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    steps = [row["step"] for row in rows]
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for name in rows[0]["losses"]:
        axes.plot(steps, [row["losses"][name] for row in rows], linewidth=0.8, alpha=0.7, label=name)
    axes.plot(steps, [row["loss"] for row in rows], color="black", linewidth=2, label="total")
    axes.set(xlabel="step", ylabel="weighted loss", yscale="log", title="Training loss of the demo recipe")
    axes.legend(ncols=3, fontsize=8, frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(out, dpi=110)


def write_predictions(runs: Path, data: Path, out: Path, people: int = 4) -> None:
    """Draw picture, labelled mesh and predicted mesh of a few held-out people of each protocol."""
    from itertools import islice

    from ..benchmark.people import benchmark_people
    from ..benchmark.protocol import load_protocol
    from ..benchmark.truth import posed_meshes, recorded_meshes
    from ..body.draw import contact_sheet
    from ..body.models import require_model_dir
    from ..shards.picture import encode_png
    from ..training.predictor import load_predictor
    from .demo_chain import PROTOCOLS

    predictor = load_predictor(runs, device="cpu")
    tiles = []
    for name in PROTOCOLS:
        protocol = load_protocol(name)
        asked = list(islice(benchmark_people(data, protocol), people))
        pose = posed_meshes(require_model_dir(), protocol) if protocol.ground_truth == "parameters" else recorded_meshes
        for person, truth, found in zip(asked, pose(asked), predictor(asked), strict=True):
            tiles += _triple(person, truth, found)
    out.write_bytes(encode_png(contact_sheet(tiles, columns=6, tile_size=300)))


def _triple(person: Any, truth: Any, found: Any) -> list[tuple]:
    """Return tiles of one person: picture, label, prediction through its own camera."""
    import numpy as np

    from ..body.assets import load_evaluation_assets
    from ..body.draw import render_mesh
    from ..body.models import require_model_dir

    faces = load_evaluation_assets(require_model_dir()).faces
    image = person.image()
    height, width = image.shape[:2]
    x0, y0, x1, y1 = np.clip(person.bbox_xyxy, 0, [width, height, width, height]).astype(int)
    label = render_mesh(image, truth[None], faces, person.K, color=(0.45, 0.74, 0.47))
    prediction = render_mesh(image, found.vertices[None], faces, found.K, color=(0.93, 0.58, 0.33))
    captions = (person.person_key, "label", "prediction")
    return [(p[y0:y1, x0:x1], caption) for p, caption in zip((image, label, prediction), captions, strict=True)]
