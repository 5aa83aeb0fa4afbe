"""Plots of a run in one house style: training curves, a map of a corpus, and latent dimensions beside the prior."""

# N texts, D latent dimensions
from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..storage.atomic import atomic_path
from ..storage.plain import check_plain_file
from ..storage.schema import read_measurements
from .projection import Axes, Plane, project

PANELS = (
    ("reconstruction (nats per sentence)", "reconstruction", "eval_reconstruction"),
    ("KL (nats per sentence)", "kl", "eval_kl"),
    ("beta", "beta", None),
    ("active units", None, "eval_active_units"),
)
PALETTE = (
    "#3b6fb6", "#d9822b", "#2f9e77", "#b5508f", "#7a5fc7", "#2aa5b8", "#cf4a4a", "#b59a1c", "#7c9a3e", "#4f5d75",
    "#9a6240", "#e58bb5",
)  # fmt: skip
OTHERS = "#b4bac2"  # labels beyond the palette
INK, QUIET = "#22272e", "#66707c"
STYLE: Any = {
    "font.size": 13, "axes.titlesize": 15, "axes.labelsize": 13, "xtick.labelsize": 12, "ytick.labelsize": 12,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": QUIET, "axes.titlelocation": "left",
    "text.color": INK, "axes.labelcolor": QUIET, "xtick.color": QUIET, "ytick.color": QUIET, "lines.linewidth": 2,
}  # fmt: skip
MOST_NAMED = 12  # different numbers above which labels are a scale
CELLS = 16  # of the grid, each way, in which a label finds its place
LABEL_WIDTH, LABEL_HEIGHT = 4, 1  # cells that a label takes, each way
HISTOGRAMS = 4


def plot_training(run: str | Path, output: str | Path | None = None) -> Path:
    """Plot `metrics.jsonl`: reconstruction, KL, beta and active units by step; what never changes is left out.

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
    panels = [(title, lines) for title, *keys in PANELS if (lines := _lines(rows, keys)) and _changes(lines)]
    return _draw(Path(output) if output else Path(run) / "training.png", _draw_curves, panels)


def plot_map(
    latents_ND: NDArray, texts: Sequence[str], labels: Sequence[str] | None, output: str | Path, axes: Axes = "auto"
) -> list[Path]:
    """Plot a corpus in two dimensions, coloured by label: a PNG, and an interactive HTML page with the texts.

    Args:
        latents_ND: Shape (N, D), N >= 3.
        texts: N texts.
        labels: N labels, or None for one colour; more than twelve different numbers get a continuous scale. Labels
            beyond the twelve commonest are grey.
        output: The PNG to write; the HTML file is written beside it and is self-contained.
        axes: As in `project`.

    Returns:
        The two paths written.

    Raises:
        ImportError: matplotlib, or the package of the axes, is not installed.
        ValueError: There are too few texts.
    """
    _figure_class()  # before the work
    plane = project(latents_ND, axes)
    colours, legend = _colours(labels, len(texts))
    named = None if labels is None or _numbers(labels) is not None else list(map(str, labels))
    picture = _draw(Path(output), _draw_map, plane, colours, legend, named)
    shown = [
        [round(float(x), 3), round(float(y), 3), colour, "" if labels is None else str(labels[i]), text]
        for i, ((x, y), colour, text) in enumerate(zip(plane.points, colours, texts, strict=True))
    ]
    corners = [plane.points.min(0).tolist(), plane.points.max(0).tolist()]
    content = {"points": shown, "corners": corners, "axes": plane.names, "legend": legend}
    data = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")  # so that no text contains "</script>"
    page = picture.with_suffix(".html")
    with atomic_path(page) as staged:
        template = Path(__file__).with_name("map.html").read_text(encoding="utf-8")
        staged.write_text(template.replace("DATA", data, 1), encoding="utf-8", errors="replace")
    return [picture, page]


def plot_dimensions(means_ND: NDArray, stds_ND: NDArray, output: str | Path) -> Path:
    """Plot how far each latent dimension is used, and histograms of some beside the prior N(0, 1).

    Above, for every dimension and the most used first: the deviation of the posterior means over the texts, and the
    typical deviation of a posterior. An unused dimension has 0 and 1. Below, the means and the aggregate posterior of
    the four dimensions at the ends and in the middle of this order.

    Args:
        means_ND: Posterior means, shape (N, D).
        stds_ND: Posterior standard deviations, shape (N, D).
        output: The PNG to write.
    """
    return _draw(Path(output), _draw_dimensions, np.asarray(means_ND), np.asarray(stds_ND))


def _draw_curves(figure: Any, panels: Sequence[tuple[str, dict[str, list[tuple[float, float]]]]]) -> None:
    columns = min(2, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    figure.set_size_inches(6.2 * columns, 3.9 * rows)
    cells = list(figure.subplots(rows, columns, squeeze=False).flat)
    for cell in cells[len(panels) :]:
        cell.axis("off")
    for cell, (title, lines) in zip(cells, panels, strict=False):
        for (name, points), colour in zip(lines.items(), PALETTE, strict=False):
            mark = "o" if name == "validation" or len(points) == 1 else ""
            cell.plot(*zip(*points, strict=True), color=colour, marker=mark, markersize=5)
        ends = {name: points[-1] for name, points in lines.items()}
        cell.set(title=title, xlabel="step")
        cell.margins(y=0.12)
        _name_ends(cell, ends if len(ends) > 1 else {})


def _draw_map(
    figure: Any, plane: Plane, colours: Sequence[str], legend: dict[str, str], labels: Sequence[str] | None
) -> None:
    figure.set_size_inches(9, 8)
    plot = figure.subplots()
    points_N2 = plane.points
    order = np.random.default_rng(0).permutation(len(points_N2))  # so that no label is drawn over all others
    size = float(np.clip(40_000 / len(points_N2), 4, 60))
    plot.scatter(*points_N2[order].T, s=size, c=[colours[i] for i in order], alpha=0.7, linewidths=0)
    near = "" if plane.method == "pca" else ", alike texts near each other"
    names = plane.names if plane.method == "pca" else ("", "")
    plot.set(title=f"{len(points_N2):,} texts{near}", xlabel=names[0], ylabel=names[1], xticks=[], yticks=[])
    for spine in plot.spines.values():
        spine.set_visible(False)
    if labels is not None:
        for name, (x, y) in _label_places(points_N2, labels, legend).items():
            _write(plot, name, (x, y), legend[name])
    elif legend:
        from matplotlib.cm import ScalarMappable

        low, high = map(float, legend)
        bar = figure.colorbar(ScalarMappable(cmap="viridis"), ax=plot, shrink=0.4, aspect=24, ticks=[0, 1])
        bar.ax.set_yticklabels([f"{low:g}", f"{high:g}"])
        bar.outline.set_visible(False)


def _draw_dimensions(figure: Any, means_ND: NDArray, stds_ND: NDArray) -> None:
    figure.set_size_inches(11, 7.5)
    spread_D, width_D = means_ND.std(0), np.sqrt(np.square(stds_ND).mean(0))
    order = np.argsort(-spread_D, kind="stable")
    shown = sorted({round(share * (len(order) - 1)) for share in np.linspace(0, 1, HISTOGRAMS)})
    grid = figure.add_gridspec(2, len(shown), height_ratios=(1.2, 1))
    above = figure.add_subplot(grid[0, :])
    places = np.arange(1, len(order) + 1)
    lines = {"deviation of the means": spread_D[order], "deviation of a posterior": width_D[order]}
    for (_, line), colour in zip(lines.items(), PALETTE, strict=False):
        above.plot(places, line, color=colour, marker="o" if len(order) < 40 else "", markersize=5)
    above.set(title="Use of each latent dimension, most used first", xlabel="rank of the dimension")
    above.set_ylim(0, max(1.1, above.get_ylim()[1]))
    _name_ends(above, {name: (float(places[-1]), float(line[-1])) for name, line in lines.items()})
    above.axhline(1, color=OTHERS, linewidth=1.5)
    above.annotate("prior", (1, 1), (0, 3), textcoords="offset points", color=QUIET, va="bottom")
    draws_ND = means_ND + stds_ND * np.random.default_rng(0).standard_normal(means_ND.shape)
    edges = np.linspace(-4, 4, 41)
    fine = np.linspace(-4, 4, 161)
    for place, rank in enumerate(shown):
        d, cell = order[rank], figure.add_subplot(grid[1, place])
        means = np.histogram(means_ND[:, d].clip(-4, 4), edges, density=True)[0]
        cell.stairs(means, edges, color=PALETTE[0], alpha=0.45, fill=True)  # one patch, not forty bars
        cell.stairs(np.histogram(draws_ND[:, d].clip(-4, 4), edges, density=True)[0], edges, color=PALETTE[1], lw=2)
        cell.plot(fine, np.exp(-(fine**2) / 2) / np.sqrt(2 * np.pi), color=INK, linewidth=1.2)
        cell.set(title=f"dimension {d}", yticks=[])
        cell.spines["left"].set_visible(False)
        cell.set_ylim(top=1.1 * cell.get_ylim()[1])
        if not place:
            for line, (name, colour) in enumerate((("means", PALETTE[0]), ("posteriors", PALETTE[1]), ("prior", INK))):
                height = 0.98 - 0.11 * line
                cell.text(0, height, name, transform=cell.transAxes, color=colour, fontweight="bold", va="top")


def _lines(rows: Sequence[dict[str, Any]], keys: Iterable[str | None]) -> dict[str, list[tuple[float, float]]]:
    found = {
        name: [(row["step"], row[key]) for row in rows if key in row]
        for name, key in zip(("training", "validation"), keys, strict=True)
        if key
    }
    return {name: points for name, points in found.items() if points}


def _changes(lines: dict[str, list[tuple[float, float]]]) -> bool:
    return any(len({value for _, value in points}) > 1 for points in lines.values())


def _name_ends(cell: Any, ends: dict[str, tuple[float, float]]) -> None:
    """Write the name of each line to the right of its last point."""
    low, high = cell.get_ylim()
    close = len(ends) > 1 and np.ptp([y for _, y in ends.values()]) < 0.12 * (high - low)
    ranked = sorted(ends, key=lambda name: -ends[name][1])
    for name, colour in zip(ends, PALETTE, strict=False):
        shift = (9 if name == ranked[0] else -9) if close else 0
        cell.annotate(
            name, ends[name], (9, shift), textcoords="offset points", color=colour, fontweight="bold", va="center",
            path_effects=_halo(),
        )  # fmt: skip
    if ends:
        left, right = cell.get_xlim()
        cell.set_xticks([tick for tick in cell.get_xticks() if left <= tick <= right])
        cell.set_xlim(left, right + 0.3 * (right - left))


def _label_places(points_N2: NDArray, labels: Sequence[str], legend: dict[str, str]) -> dict[str, tuple[float, float]]:
    """Return a place for each label of the legend: where it is dense and others are not, and no other label stands."""
    low, high = points_N2.min(0), points_N2.max(0)
    cells_N2 = np.minimum((points_N2 - low) / np.maximum(high - low, 1e-12) * CELLS, CELLS - 1).astype(int)
    flat_N = cells_N2[:, 0] * CELLS + cells_N2[:, 1]
    everybody = np.bincount(flat_N, minlength=CELLS * CELLS)
    names = np.array(labels)
    taken: list[tuple[int, int]] = []
    places = {}
    for name in legend:
        own = np.bincount(flat_N[names == name], minlength=CELLS * CELLS)
        best = own / np.maximum(everybody, 1) * np.sqrt(own)
        for cell in np.argsort(-best, kind="stable").tolist():
            x, y = divmod(cell, CELLS)
            if all(abs(x - a) >= LABEL_WIDTH or abs(y - b) >= LABEL_HEIGHT for a, b in taken) or not best[cell]:
                break
        taken.append((x, y))
        inside = np.clip((x + 0.5) / CELLS, 0.08, 0.92), (y + 0.5) / CELLS  # so that no name leaves the picture
        places[name] = tuple(float(low[i] + inside[i] * (high[i] - low[i])) for i in (0, 1))
    return places  # type: ignore[return-value]


def _write(plot: Any, name: str, place: tuple[float, float], colour: str) -> None:
    plot.text(  # "$" and a leading "_" are letters like others
        *place, name, color=colour, fontsize=15, fontweight="bold", ha="center", va="center", path_effects=_halo(),
        parse_math=False,
    )  # fmt: skip


def _halo() -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=4, foreground="white")]


def _colours(labels: Sequence[str] | None, count: int) -> tuple[list[str], dict[str, str]]:
    """Return a colour for each text, and the legend as a mapping from label to colour, commonest first."""
    if labels is None:
        return [PALETTE[0]] * count, {}
    values = _numbers(labels)
    if values is not None:
        from matplotlib import colormaps
        from matplotlib.colors import to_hex

        low, high = values.min(), values.max()
        scale = colormaps["viridis"]
        shades = [to_hex(scale((value - low) / ((high - low) or 1))) for value in values]
        return shades, {f"{low:g}": to_hex(scale(0.0)), f"{high:g}": to_hex(scale(1.0))}
    common = Counter(sorted(map(str, labels))).most_common(len(PALETTE))
    legend = {name: colour for (name, _), colour in zip(common, PALETTE, strict=False)}
    return [legend.get(str(label), OTHERS) for label in labels], legend


def _numbers(labels: Sequence[str]) -> NDArray | None:
    """Return labels as numbers if they are a scale: more than twelve different finite numbers."""
    if len(set(map(str, labels))) <= MOST_NAMED:
        return None
    try:
        values = np.array([float(label) for label in labels])
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def _figure_class() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'textvae[plot]'") from error
    return Figure


def _draw(output: Path, paint: Any, *content: Any) -> Path:
    """Paint a figure in the house style and write it as a PNG."""
    figure_class = _figure_class()
    from matplotlib import rc_context

    with rc_context(STYLE), atomic_path(output) as staged:
        figure = figure_class(layout="constrained")
        paint(figure, *content)
        figure.savefig(staged, format="png", dpi=100)
    return output
