"""Pictures: the map of a corpus and the latents beside the prior."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from textvae.evaluation.plots import OTHERS, plot_dimensions, plot_map, plot_training
from textvae.evaluation.projection import project

pytest.importorskip("matplotlib")
TEXTS = ["a red fox", "a <b>blue</b> whale </script> <!-- <script>", "half an emoji \ud83d", "soup"] * 5
LATENTS = np.random.default_rng(0).normal(size=(20, 6)) * [9, 4, 1, 1, 1, 0]


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000


def points_of(page):
    return json.loads(re.search(r"^const data = (.*);$", page.read_text(), re.MULTILINE)[1])


@pytest.mark.parametrize("labels", [None, ["bar", "gym", "zoo", "gym"] * 5, [str(i / 7) for i in range(20)]])
def test_a_map_is_a_picture_and_a_page_with_every_text(tmp_path, labels):
    picture, page = plot_map(LATENTS, TEXTS, labels, tmp_path / "map.png")
    assert is_png(picture) and page == tmp_path / "map.html"
    data = points_of(page)
    assert [point[4] for point in data["points"]] == [text.replace("\ud83d", "?") for text in TEXTS]
    assert [point[3] for point in data["points"]] == (labels or [""] * 20)
    assert page.read_text().count("</script>") == 1 and "http" not in page.read_text()


def test_the_axes_of_a_map_are_the_principal_components(tmp_path):
    _, page = plot_map(LATENTS, TEXTS, None, tmp_path / "map.png")
    data = points_of(page)
    drawn = np.array([point[:2] for point in data["points"]])
    centred = LATENTS - LATENTS.mean(0)
    variances = np.linalg.eigvalsh(centred.T @ centred)[::-1]
    np.testing.assert_allclose((drawn**2).sum(0), variances[:2], rtol=1e-2)
    assert data["axes"][0] == f"principal component 1 ({variances[0] / variances.sum():.0%} of the variance)"


def test_each_label_has_one_colour_and_numbers_a_scale(tmp_path):
    named = points_of(plot_map(LATENTS, TEXTS, ["bar", "gym"] * 10, tmp_path / "map.png")[1])
    assert {(p[3], p[2]) for p in named["points"]} == set(named["legend"].items())
    scaled = points_of(plot_map(LATENTS, TEXTS, [str(i) for i in range(20)], tmp_path / "map.png")[1])
    assert list(scaled["legend"]) == ["0", "19"] and len({p[2] for p in scaled["points"]}) == 20


@pytest.mark.parametrize("dims", [1, 8, 11])
def test_every_dimension_is_drawn(tmp_path, dims):
    means = np.random.default_rng(0).normal(size=(50, dims))
    assert is_png(plot_dimensions(means, np.full_like(means, 0.1), tmp_path / "dimensions.png"))


def test_one_dimension_has_a_map(tmp_path):
    data = points_of(plot_map(LATENTS[:, :1], TEXTS, None, tmp_path / "map.png")[1])
    assert {point[1] for point in data["points"]} == {0}


def test_too_few_texts_make_no_map(tmp_path):
    with pytest.raises(ValueError, match="a map needs at least 3 texts, got 2"):
        plot_map(LATENTS[:2], TEXTS[:2], None, tmp_path / "map.png")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pacmap", None)
    with pytest.raises(ImportError, match=r"needs pacmap: pip install 'textvae\[pacmap\]'"):
        plot_map(LATENTS, TEXTS, None, tmp_path / "map.png", "pacmap")


def test_without_pacmap_the_axes_are_principal_components(monkeypatch):
    monkeypatch.setattr("textvae.evaluation.projection.find_spec", lambda name: None)
    assert project(np.repeat(LATENTS, 5, 0)).method == "pca"


@pytest.mark.parametrize(
    "labels", [["$10 - $20_^", "$100\\frac$", "_hidden", ""], ["$x^", "_a", "__", "%{}\\"], ["a\nb", "$$", "#&~", "é$"]]
)
def test_a_label_is_drawn_letter_by_letter(tmp_path, labels, monkeypatch):
    from matplotlib.figure import Figure

    drawn, save = [], Figure.savefig

    def watch(figure, *arguments, **options):
        drawn.extend(text for axes in figure.axes for text in axes.texts)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", watch)
    picture, _ = plot_map(LATENTS, TEXTS, labels * 5, tmp_path / "map.png")
    assert is_png(picture) and {text.get_text() for text in drawn} == set(labels)
    assert not any(text.get_parse_math() for text in drawn)


def pictured(monkeypatch):
    """Return a list that gets every figure that is saved."""
    from matplotlib.figure import Figure

    figures, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *a, **o: (figures.append(figure), save(figure, *a, **o)))
    return figures


def test_names_of_groups_stand_where_the_groups_lie(tmp_path, monkeypatch):
    figures = pictured(monkeypatch)
    corners = {"a": (0, 0), "b": (9, 0), "c": (0, 5)}
    labels = list(corners) * 30
    points = np.array([corners[name] for name in labels]) + np.random.default_rng(0).normal(size=(90, 2)) * 0.3
    plot_map(points, labels, labels, tmp_path / "map.png", "pca")
    plane = project(points, "pca").points
    texts = {text.get_text(): text.get_position() for text in figures[0].axes[0].texts}
    assert set(texts) == set(corners)
    for name, place in texts.items():
        own = plane[np.array(labels) == name]
        assert np.linalg.norm(own - place, axis=1).min() < 1


def test_labels_beyond_the_palette_are_grey_and_unnamed(tmp_path):
    labels = [f"common {i}" for i in range(12)] * 3 + [f"rare {i}" for i in range(5)]
    latents = np.random.default_rng(0).normal(size=(41, 4))
    data = points_of(plot_map(latents, labels, labels, tmp_path / "map.png", "pca")[1])
    assert set(data["legend"]) == {f"common {i}" for i in range(12)}
    assert {point[2] for point in data["points"] if point[3].startswith("rare")} == {OTHERS}


def test_a_curve_that_never_changes_is_left_out(tmp_path, monkeypatch):
    figures = pictured(monkeypatch)
    rows = [{"step": s, "reconstruction": 9.0 - s, "kl": 2.0, "beta": 1.0, "eval_kl": 2.0 + s} for s in range(4)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert is_png(plot_training(tmp_path))
    assert [axes.get_title("left") for axes in figures[0].axes] == [
        "reconstruction (nats per sentence)", "KL (nats per sentence)",
    ]  # fmt: skip
    assert all(axes.get_legend() is None for axes in figures[0].axes)
    assert {text.get_text() for text in figures[0].axes[1].texts} == {"training", "validation"}
