"""Pictures of a run."""

from __future__ import annotations

import json
from pathlib import Path

from .artifacts import atomic_path

PANELS = (
    ("reconstruction (nats per sentence)", "reconstruction", "eval_reconstruction"),
    ("KL (nats per sentence)", "kl", "eval_kl"),
    ("beta", "beta", None),
    ("active units", None, "eval_active_units"),
)


def plot_training(run: str | Path, output: str | Path | None = None) -> Path:
    """Draw the curves of `metrics.jsonl`: reconstruction, KL, beta and active units against the step.

    Args:
        run: A run folder.
        output: The PNG to write; by default `training.png` in the run folder.

    Returns:
        The path written.

    Raises:
        FileNotFoundError: The run has no metrics.
        ImportError: matplotlib is missing.
    """
    metrics = Path(run) / "metrics.jsonl"
    if not metrics.exists():
        raise FileNotFoundError(f"{run} has no metrics.jsonl: only runs made by `textvae train` can be drawn")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'textvae[plot]'") from error
    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(10, 6), layout="constrained")
    for axes, (title, train, valid) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        for key, style, label in ((train, "-", "training"), (valid, "o-", "validation")):
            points = [(row["step"], row[key]) for row in rows if key in row]
            if points:
                axes.plot(*zip(*points, strict=True), style, label=label, markersize=3)
        axes.set(title=title, xlabel="step")
        axes.legend()
    output = Path(output) if output else Path(run) / "training.png"
    with atomic_path(output) as staged:
        figure.savefig(staged, format="png", dpi=120)
    return output
