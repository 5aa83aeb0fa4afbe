"""Plots of a run: training curves, a map of a corpus in latent space, and latent dimensions against the prior."""

# N texts, D latent dimensions
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..storage.atomic import atomic_path
from ..storage.plain import check_plain_file
from ..storage.schema import read_measurements

PANELS = (
    ("reconstruction (nats per sentence)", "reconstruction", "eval_reconstruction"),
    ("KL (nats per sentence)", "kl", "eval_kl"),
    ("beta", "beta", None),
    ("active units", None, "eval_active_units"),
)

MOST_LABELS = 12
PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Latent map</title>
<style>
  body { font: 14px system-ui, sans-serif; margin: 1rem; }
  canvas { border: 1px solid #ccc; }
  #legend span { margin-right: 1rem; cursor: pointer; }
  #legend span.off { opacity: 0.3; }
  #text { min-height: 1.5em; font-weight: 600; }
</style>
<div id="legend"></div>
<p id="text">Point at a dot to read its text; click a label to hide it.</p>
<canvas width="900" height="640"></canvas>
<p id="axes"></p>
<script>
const data = DATA;
const canvas = document.querySelector("canvas"), pen = canvas.getContext("2d"), off = new Set();
const [[x0, y0], [x1, y1]] = data.corners, edge = 15;
const place = p => [
  edge + (p[0] - x0) / (x1 - x0 || 1) * (canvas.width - 2 * edge),
  canvas.height - edge - (p[1] - y0) / (y1 - y0 || 1) * (canvas.height - 2 * edge),
];
function draw() {
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.globalAlpha = 0.7;
  for (const p of data.points) {
    if (off.has(p[3])) continue;
    const [x, y] = place(p);
    pen.fillStyle = p[2];
    pen.fillRect(x - 2, y - 2, 4, 4);
  }
}
for (const [name, colour] of Object.entries(data.legend)) {
  const item = document.createElement("span");
  item.textContent = "\u25cf " + name;
  item.style.color = colour;
  item.onclick = () => { off.has(name) ? off.delete(name) : off.add(name); item.classList.toggle("off"); draw(); };
  document.getElementById("legend").append(item);
}
canvas.onmousemove = event => {
  let best = null, least = 100;
  for (const p of data.points) {
    if (off.has(p[3])) continue;
    const [x, y] = place(p), d = (x - event.offsetX) ** 2 + (y - event.offsetY) ** 2;
    if (d < least) [least, best] = [d, p];
  }
  if (best) document.getElementById("text").textContent = (best[3] ? best[3] + ": " : "") + best[4];
};
document.getElementById("axes").textContent = "across: " + data.axes[0] + "; up: " + data.axes[1];
draw();
</script>
"""


def plot_training(run: str | Path, output: str | Path | None = None) -> Path:
    """Plot `metrics.jsonl`: reconstruction, KL, beta and active units by step.

    Args:
        run: A run folder.
        output: The PNG to write; by default `training.png` in the run folder.

    Returns:
        The path written.

    Raises:
        FileNotFoundError: The run has no metrics.
        ImportError: matplotlib is not installed.
    """
    metrics = Path(run) / "metrics.jsonl"
    if not metrics.exists():
        raise FileNotFoundError(f"{run} has no metrics.jsonl: only runs made by `textvae train` can be drawn")
    rows = read_measurements(check_plain_file(metrics.parent, metrics.name))
    figure = _figure(10, 6)
    for axes, (title, train, valid) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        for key, style, label in ((train, "-", "training"), (valid, "o-", "validation")):
            points = [(row["step"], row[key]) for row in rows if key in row]
            if points:
                axes.plot(*zip(*points, strict=True), style, label=label, markersize=3)
        axes.set(title=title, xlabel="step")
        axes.legend()
    return _save(figure, Path(output) if output else Path(run) / "training.png")


def plot_map(
    latents_ND: NDArray, texts: Sequence[str], labels: Sequence[str] | None, output: str | Path, axes: str = "pca"
) -> list[Path]:
    """Plot a corpus in two dimensions, coloured by label: a PNG, and an interactive HTML page with the texts.

    Args:
        latents_ND: Shape (N, D), N >= 3.
        texts: N texts.
        labels: N labels, or None for one colour; more than twelve different numbers get a continuous scale.
        output: The PNG to write; the HTML file is written beside it and is self-contained.
        axes: "pca" for the two principal components; "umap" or "pacmap" if that package is installed.

    Returns:
        The two paths written.

    Raises:
        ImportError: matplotlib, or the package of the axes, is not installed.
        ValueError: There are too few texts.
    """
    if len(latents_ND) < 3:
        raise ValueError(f"a map needs at least 3 texts, got {len(latents_ND)}")
    figure = _figure(8, 7)
    points_N2, names = _plane(np.asarray(latents_ND, np.float64), axes)
    colours, legend = _colours(labels, len(texts))
    plot = figure.subplots()
    order = np.random.default_rng(0).permutation(len(points_N2))  # so that no label is drawn over all others
    plot.scatter(*points_N2[order].T, s=5, c=[colours[i] for i in order], alpha=0.7, linewidths=0)
    plot.set(xlabel=names[0], ylabel=names[1], title=f"{len(texts):,} texts")
    if legend:
        marks = [plot.scatter([], [], c=colour) for colour in legend.values()]
        shown_names = plot.legend(marks, ["?"] * len(marks), loc="best", fontsize=8).get_texts()
        for shown_name, name in zip(shown_names, legend, strict=True):  # "$" and a leading "_" are letters like others
            shown_name.set_parse_math(False)
            shown_name.set_text(name)
    picture = _save(figure, Path(output))
    shown = [
        [round(float(x), 3), round(float(y), 3), colour, "" if labels is None else str(labels[i]), text]
        for i, ((x, y), colour, text) in enumerate(zip(points_N2, colours, texts, strict=True))
    ]
    corners = [points_N2.min(0).tolist(), points_N2.max(0).tolist()]
    content = {"points": shown, "corners": corners, "axes": names, "legend": legend}
    data = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")  # so that no text contains "</script>"
    page = picture.with_suffix(".html")
    with atomic_path(page) as staged:
        staged.write_text(PAGE.replace("DATA", data), encoding="utf-8", errors="replace")
    return [picture, page]


def plot_dimensions(means_ND: NDArray, stds_ND: NDArray, output: str | Path) -> Path:
    """Plot histograms of the means and the aggregate posterior of each latent dimension, with N(0, 1).

    Args:
        means_ND: Posterior means, shape (N, D).
        stds_ND: Posterior standard deviations, shape (N, D).
        output: The PNG to write.
    """
    dims = means_ND.shape[1]
    columns = min(dims, 8)
    rows = -(-dims // columns)
    draws_ND = means_ND + stds_ND * np.random.default_rng(0).standard_normal(means_ND.shape)
    grid = np.linspace(-4, 4, 81)
    figure = _figure(1.6 * columns + 0.6, 1.3 * rows + 0.8)
    cells = figure.subplots(rows, columns, squeeze=False).flat
    for d, cell in zip(range(rows * columns), cells, strict=True):
        if d >= dims:
            cell.axis("off")
            continue
        means, draws = (np.histogram(x[:, d].clip(-4, 4), grid[::2], density=True)[0] for x in (means_ND, draws_ND))
        cell.stairs(means, grid[::2], color="tab:blue", alpha=0.5, label="means", fill=True)  # one patch, not forty
        cell.stairs(draws, grid[::2], color="tab:orange", label="posterior")
        cell.plot(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color="black", linewidth=0.8, label="prior")
        cell.set_title(str(d), fontsize=7, pad=2)
        cell.tick_params(labelsize=6)
        cell.set_yticks([])
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8)
    return _save(figure, Path(output))


def _plane(latents_ND: NDArray, axes: str) -> tuple[NDArray, tuple[str, str]]:
    if axes == "pca":
        centred = latents_ND - latents_ND.mean(0)
        if centred.shape[1] == 1:
            centred = np.pad(centred, ((0, 0), (0, 1)))
        _, spread, directions = np.linalg.svd(centred, full_matrices=False)
        shares = spread[:2] ** 2 / max((spread**2).sum(), 1e-30)
        first, second = (f"principal component {i} ({share:.0%} of the variance)" for i, share in enumerate(shares, 1))
        return centred @ directions[:2].T, (first, second)
    try:
        if axes == "umap":
            from umap import UMAP as Projection
        else:
            from pacmap import PaCMAP as Projection
    except ImportError as error:
        raise ImportError(f"this map needs {axes}: pip install 'textvae[{axes}]', or choose pca") from error
    return Projection(n_components=2, random_state=0).fit_transform(latents_ND), (f"{axes} 1", f"{axes} 2")


def _colours(labels: Sequence[str] | None, count: int) -> tuple[list[str], dict[str, str]]:
    """Return a colour for each text, and the legend as a mapping from label to colour."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if labels is None:
        return [to_hex("tab:blue")] * count, {}
    names = sorted(set(map(str, labels)))
    values = _numbers(labels)
    if values is not None and len(names) > MOST_LABELS:
        low, high = values.min(), values.max()
        scale = colormaps["viridis"]
        shades = [to_hex(scale((value - low) / ((high - low) or 1))) for value in values]
        return shades, {f"{low:g}": to_hex(scale(0.0)), f"{high:g}": to_hex(scale(1.0))}
    palette = [to_hex(colour) for colour in (*colormaps["tab20"].colors[::2], *colormaps["tab20"].colors[1::2])]  # type: ignore[attr-defined]
    of_name = {name: palette[i % len(palette)] for i, name in enumerate(names)}
    return [of_name[str(label)] for label in labels], dict(list(of_name.items())[: len(palette)])


def _numbers(labels: Sequence[str]) -> NDArray | None:
    try:
        return np.array([float(label) for label in labels])
    except ValueError:
        return None


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'textvae[plot]'") from error
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, output: Path) -> Path:
    with atomic_path(output) as staged:
        figure.savefig(staged, format="png", dpi=120)
    return output
