"""Print results/ into the README and the pages of docs/, between markers; --check exits 1 if they differ.

    python benchmarks/render.py [--check]

`<!-- results:NAME -->` ... `<!-- /results -->` is filled from results/, so that no number there is typed by hand.
"""

from __future__ import annotations

import json
import operator
import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SEARCH = ("embedding", "search", "index", "mutations", "outliers")  # files of the section on search


# The rows of the README's table, and what each says; whether a bar is met is read off the row.
HEADLINES = {
    "english:english.recon_bleu": "the model that ships: reconstruction BLEU, held-out sentences of 17 sources",
    "english:english.recon_bleu.new": "the same, two sources that it never saw",
    "english:english.sts_dev": "the same: Spearman on STS-B dev (its teacher: 0.867)",
    "english:english.scifact": "the same: nDCG@10 on SciFact's train queries",
    "english:english.valid": "the same: samples more natural than the worst twentieth of real sentences",
    "english:english.meaning.natural": "the same: texts from the meaning alone as natural as half of real ones, share",
    "english:english.shift.accuracy": "the same: sentiment moved after 100 + 100 examples, accuracy",
    "bars:yelp.recon_bleu": "reconstruction BLEU, Yelp, 4 beams",
    "bars:ptb.word_ppl": "perplexity per word, PTB",
    "shift:shift.yelp.accuracy": "sentiment shifted, Yelp: accuracy in %",
    "shift:shift.fewshot.alone.accuracy_drop": "points lost with 10 + 10 examples, without unlabelled texts",
    "speed:speed.train_vs_naive": "training speed over a plain loop, 2 cores",
    "speed:speed.encode_vs_st_fp32": "encoding speed over sentence-transformers, fp32",
    "speed:speed.search_cold_seconds": "seconds of a first search, imports included",
    "crash:crash.resume_failures": "failed resumes after 10 times SIGKILL in training",
}


def main() -> None:
    """Fill the pages, or compare them."""
    differing = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        old = page.read_text(encoding="utf-8")
        new = re.sub(r"(<!-- results:(\w+) -->\n).*?(<!-- /results -->)", fill, old, flags=re.DOTALL)
        if "--check" in sys.argv:
            differing += [page.relative_to(ROOT).as_posix()] if new != old else []
        elif new != old:
            page.write_text(new, encoding="utf-8")
    if differing:
        sys.exit(f"{', '.join(differing)} differ from results/: run python benchmarks/render.py")


def fill(match: re.Match[str]) -> str:
    """Return one marked block with its content."""
    parts = (
        crash,
        speed,
        growth,
        page,
        serving,
        recipe,
        language,
        guidance,
        operations,
        disentanglement,
        bars,
        search,
        shift,
        demo,
        headlines,
        examples,
        failures,
        english,
        scale,
        plan,
        gpu,
    )
    content = {part.__name__: part for part in parts}
    return match[1] + content[match[2]]() + match[3]


def crash() -> str:
    """Return the sentence about benchmarks/robustness/crash_training.py."""
    values = _rows("crash")
    same = "equal to" if values["crash.same_sha256"] else "different from"
    return (
        f"{values['crash.kills']} times SIGKILL during training, {values['crash.resume_failures']} failed resumes, "
        f"final weights {same} an uninterrupted run's by SHA-256.\n"
    )


def speed() -> str:
    """Return the tables of benchmarks/speed.py: every row that has a bar, and what each part gains."""
    rows = json.loads((ROOT / "results/speed.json").read_text())["rows"]
    lines = [["", "measured", "bar", "how"], ["---"] * 4]
    lines += [[f"`{r['id']}`", f"{r['value']:g}", r["bar"], r["note"]] for r in rows if r["bar"]]
    parts = [["training without", "is slower by a factor of"], ["---"] * 2]
    parts += [[r["id"].split(".")[2].replace("_", " "), f"{r['value']:.2f}"] for r in rows if ".part." in r["id"]]
    return "\n".join(map(_table, (lines, parts)))


def growth() -> str:
    """Return the table of benchmarks/growth.py: seconds and peak memory of each job at each size."""
    values = _rows("growth")
    jobs = list(dict.fromkeys(id.split(".")[1] for id in values))
    lines = [["sentences", *jobs], ["---"] * (len(jobs) + 1)]
    for size in sorted({int(id.split(".")[2]) for id in values}):
        cells = [[values.get(f"growth.{job}.{size}.{part}") for part in ("seconds", "peak_mb")] for job in jobs]
        lines.append([f"{size:,}", *(f"{cell[0]:,.2f} s, {cell[1]:,.0f} MB" if all(cell) else "" for cell in cells)])
    return _table(lines)


def page() -> str:
    """Return the sentence about benchmarks/page.py."""
    values = _rows("page")
    note = json.loads((ROOT / "results/page.json").read_text())["rows"][0]["note"]
    first, whole, frames, memory = (
        values[f"serve.page.{name}"] for name in ("first_paint_ms", "map_ms", "frames_per_second", "memory_mb")
    )
    return (
        f"A map of 100,000 texts: first paint after {first:.0f} ms, the map after {whole:,.0f} ms, {frames:.0f} frames "
        f"a second while it is dragged, {memory:.0f} MB ({note}).\n"
    )


def serving() -> str:
    """Return the table of benchmarks/serving.py, and of the page."""
    lines = [["", "measured", "bar", "how"], ["---"] * 4]
    for name in ("serving", "page"):
        rows = json.loads((ROOT / f"results/{name}.json").read_text())["rows"]
        lines += [[f"`{r['id']}`", f"{r['value']:,}", r["bar"] or "-", r["note"]] for r in rows]
    return _table(lines)


def recipe() -> str:
    """Return the tables of benchmarks/recipe.py: split and flat in equal minutes, the search, the speed."""
    columns = {
        "loss": ("loss", "{:.2f}"), "bleu": ("BLEU", "{:.1f}"), "bleu_drawn": ("BLEU of draws", "{:.1f}"),
        "exact": ("exact", "{:.1%}"), "loss_alone": ("loss from m", "{:.2f}"),
        "cosine_alone": ("cosine from m", "{:.2f}"), "repeating_alone": ("repeating", "{:.0%}"),
        "valid": ("valid", "{:.0%}"), "natural": ("natural", "{:.0%}"),
        "sts_dev": ("STS-B dev", "{:.1f}"),
    }  # fmt: skip
    values = _rows("recipe")
    lengths = {key: id for id in values for key in [id.rpartition(".")[2]] if re.match(r"exact_\d", key)}
    columns |= {key: (f"exact, {key[6:].replace('_', ' to ')} words", "{:.0%}") for key in lengths}
    tables = []
    for prefix in ("recipe.", "recipe.search."):
        names = dict.fromkeys(id.removeprefix(prefix).split(".")[0] for id in values if id.startswith(prefix))
        names = [name for name in names if f"{prefix}{name}.loss" in values]
        used = [key for key in columns if any(f"{prefix}{name}.{key}" in values for name in names)]
        lines = [["", *(columns[key][0] for key in used)], ["---"] * (len(used) + 1)]
        for name in names:
            cells = [values.get(f"{prefix}{name}.{key}") for key in used]
            texts = ["" if c is None else columns[key][1].format(c) for key, c in zip(used, cells, strict=True)]
            lines.append([f"`{name}`", *texts])
        if names:
            tables.append(_table(lines))
    if "recipe.tokens_per_second" in values:
        rate, share = values["recipe.tokens_per_second"], values["recipe.peak_fraction"]
        tables.append(
            f"One core trains on {rate:,} tokens/s; its matrix products, in bf16 there, come to {share:.2f} times the\n"
            "core's measured fp32 peak.\n"
        )
    return "\n".join(tables)


def language() -> str:
    """Return the table of benchmarks/language.py: a row for each corpus, decoder, recipe and seed."""
    values = _rows("language")
    columns = {
        "nll": ("NLL", "{:.1f}".format),
        "word_perplexity": ("word ppl", lambda value: f"{value:.0f}" if value < 1e5 else f"{value:.0e}"),
        "kl": ("KL", "{:.1f}".format),
        "active_fraction": ("active", "{:.0%}".format),
        "recon_bleu": ("BLEU", "{:.1f}".format),
        "duplicates": ("repeats", "{:.1%}".format),
        "sample_ppl_ratio": ("samples", "{:.2f}".format),
        "interpolation_ratio": ("paths", "{:.2f}".format),
    }
    return _recipes(values, "language", columns)


def guidance() -> str:
    """Return the tables of benchmarks/prior.py: what each prior draws, and what guidance makes of it."""
    values = _rows("prior")
    priors = [["latents from", "samples"], ["---"] * 2]
    weights = [["guidance", "samples", "repeats", "distinct pairs of words", "BLEU"], ["---"] * 5]
    for id, value in values.items():
        kind, _, name = id.removesuffix(".sample_ppl_ratio").partition(".")
        if kind == "prior" and id.endswith("ratio"):
            priors.append([name.replace("_", " "), f"{value:.2f}"])
        elif id.endswith("ratio"):
            others = [values[f"guidance.{name}.{key}"] for key in ("duplicates", "distinct_2", "recon_bleu")]
            weights.append([name, f"{value:.2f}", *map("{:{}}".format, others, (".1%", ".0%", ".1f"))])
    return "\n".join(map(_table, (priors, weights, _flow(values))))


def _flow(values: dict[str, float]) -> list[list[str]]:
    """Return the table of what the flow and other priors draw for the English model."""
    columns = {
        "sliced_wasserstein": ("distance", "{:.3f}".format),
        "classifier_accuracy": ("told apart", "{:.1%}".format),
    }
    table = [["English latents from", *(title for title, _ in columns.values())], ["---"] * (1 + len(columns))]
    for name in ("posteriors", "standard", "mixture", "flow"):
        table.append([name, *(show(values[f"prior.flow.{name}.{key}"]) for key, (_, show) in columns.items())])
    return table


def operations() -> str:
    """Return a table of benchmarks/operations.py for each operation."""
    tables: dict[str, dict[str, dict[str, float]]] = {}
    for id, value in _rows("operations").items():
        operation, _, name = id.removeprefix("operations.").partition(".")
        setting, _, measure = name.rpartition(".")
        tables.setdefault(operation, {}).setdefault(setting, {})[measure] = value
    written = []
    for operation, settings in tables.items():
        measures = list(dict.fromkeys(measure for values in settings.values() for measure in values))
        lines = [[operation, *(measure.replace("_", " ") for measure in measures)], ["---"] * (len(measures) + 1)]
        for setting, values in settings.items():
            shown = (f"{values[m]:.{1 if 'bleu' in m else 3}f}" if m in values else "" for m in measures)
            lines.append([re.sub(r"\.(?=[a-z])", ", ", setting.replace("_", " ")) or "attribute", *shown])
        written.append(_table(lines))
    return "\n".join(written)


def disentanglement() -> str:
    """Return the tables of benchmarks/disentanglement.py: dSentences, and what ships on our own corpus."""
    names = ("mig", "dci_disentanglement", "dci_completeness", "dci_informativeness", "z_diff", "z_min_var")
    columns = {name: (name.replace("dci_", "").replace("_", "-"), "{:.3f}".format) for name in names}
    values = _rows("disentanglement")
    exact = {"exact_match": ("exact", "{:.0%}".format)}
    return "\n".join((_recipes(values, "dsentences", columns | exact), _recipes(values, "own", columns)))


def _recipes(values: dict[str, float], prefix: str, columns: dict[str, tuple[str, Callable[[float], str]]]) -> str:
    """Return a table with a line for each recipe: what stands between the prefix of an id and its last part."""
    lines = [["recipe", *(title for title, _ in columns.values())], ["---"] * (len(columns) + 1)]
    of_prefix = (id.removeprefix(f"{prefix}.") for id in values if id.startswith(f"{prefix}."))
    recipes = dict.fromkeys(id.rpartition(".")[0] for id in of_prefix)
    for recipe in sorted(recipes, key=lambda recipe: recipe.split(".")[0], reverse=True):
        found = [values.get(f"{prefix}.{recipe}.{key}") for key in columns]
        forms = (form for _, form in columns.values())
        cells = ["" if value is None else form(value) for value, form in zip(found, forms, strict=True)]
        lines.append([f"`{recipe}`", *cells])
    return _table(lines)


def bars() -> str:
    """Return the table of benchmarks/bars.py."""
    return _with_bars("bars")


def search() -> str:
    """Return the table of what embeddings, indexes and scores of single texts were held to."""
    return _with_bars(*(name for name in SEARCH if (ROOT / f"results/{name}.json").exists()))


def scale() -> str:
    """Return the table of benchmarks/scale.py, with how each was measured."""
    return _with_notes("scale")


def gpu() -> str:
    """Return the table of benchmarks/gpu.py, with how each was measured."""
    return _with_notes("gpu")


def _with_notes(name: str) -> str:
    rows = json.loads((ROOT / f"results/{name}.json").read_text())["rows"]
    lines = [["", "measured", "bar", "how"], ["---"] * 4]
    lines += [[f"`{r['id']}`", _number(r["value"], r["bar"] or ""), r["bar"] or "", r["note"]] for r in rows]
    return _table(lines)


def plan() -> str:
    """Return what a billion texts take by the measured rates."""
    measured = {r["id"]: r for r in json.loads((ROOT / "results/scale.json").read_text())["rows"]}
    values, billion, width, code = _rows("scale"), 10**9, 384, 32 + 8  # numbers of a latent; PQ32 and an id
    lines = [["step", "by", "a billion texts"], ["---"] * 3]
    if rate := values.get("scale.encode.texts_per_second"):
        days = billion / (rate / 2) / 86_400  # of the process' two threads
        lines.append(
            ["encode", f"{rate / 2:,.0f} texts/s a core", f"{days:,.0f} days of one core, {days / 100:.1f} of 100"]
        )
    lines += [
        ["shards", f"{4 * width:,} bytes a latent of {width}", f"{4 * width * billion / 1e12:.1f} TB beside the texts"],
        ["codes in memory", f"{code} bytes with PQ32", f"{code * billion / 1e9:.0f} GB"],
        ["full vectors on disk", "256 bytes of 64 numbers", f"{256 * billion / 1e9:.0f} GB"],
    ]
    if built := measured.get("scale.ivfpq.build_seconds"):
        rate = built["n"] / built["value"]
        lines.append(
            ["build", f"{rate:,.0f} vectors/s on 2 cores", f"{billion / rate / 3600:,.0f} hours of such machines"]
        )
    if rate := values.get("scale.push.items_per_second"):
        lines.append(
            ["push", f"{rate:,.0f} items/s of one writer", f"{billion / rate / 3600:,.0f} hours of one writer"]
        )
    return _table(lines)


def shift() -> str:
    """Return the tables of benchmarks/shift.py: rows with a bar, the curves of both ways, other latents."""
    values = _rows("shift")
    lines = [["", "setting", "accuracy", "self-BLEU", "perplexity over the sources'"], ["---"] * 5]
    titles = {"plain": "the difference of the means added, times", "loop": "closed loop, certainty"}
    for way, title in titles.items():
        prefix = f"shift.yelp.{way}."
        for setting in dict.fromkeys(
            id.removeprefix(prefix).rpartition(".")[0] for id in values if id.startswith(prefix)
        ):
            if f"{prefix}{setting}.accuracy" in values:
                found = [values[f"{prefix}{setting}.{key}"] for key in ("accuracy", "self_bleu", "ppl_ratio")]
                lines.append([title, setting, *map("{:{}}".format, found, (".1f", ".1f", ".2f"))])
    return "\n".join((_with_bars("shift"), _table(lines), _content(values)))


def _content(values: dict[str, float]) -> str:
    """Return the table of what latents of other recipes keep."""
    titles = {
        "reconstruction_bleu": "reconstruction BLEU",
        "attribute_accuracy": "attribute right",
        "plain_self_bleu_at_75": "the difference added: self-BLEU at accuracy 75",
        "loop_accuracy": "closed loop: accuracy",
        "loop_self_bleu": "self-BLEU",
    }
    prefix = "shift.content."
    lines = [["recipe", *titles.values()], ["---"] * (len(titles) + 1)]
    for recipe in dict.fromkeys(id.removeprefix(prefix).rpartition(".")[0] for id in values if id.startswith(prefix)):
        lines.append([f"`{recipe}`", *(f"{values[f'{prefix}{recipe}.{key}']:.1f}" for key in titles)])
    return _table(lines)


def _with_bars(*names: str) -> str:
    rows = [row for name in names for row in json.loads((ROOT / f"results/{name}.json").read_text())["rows"]]
    lines = [["", "measured", "bar"], ["---"] * 3]
    return _table([*lines, *([f"`{r['id']}`", _number(r["value"], r["bar"]), r["bar"]] for r in rows if r["bar"])])


def _number(value: float, bar: str) -> str:
    """Return three digits, or as many decimals as the bar has."""
    if isinstance(value, int):
        return f"{value:,}"
    decimals = re.search(r"\.(\d+)", bar)
    return max(f"{value:.3g}", f"{value:.{len(decimals[1])}f}" if decimals else "", key=len)


def demo() -> str:
    """Return the transcript of scripts/demo.sh."""
    return f"```text\n{_transcript()}\n```\n"


def english() -> str:
    """Return the table of benchmarks/english.py, misses included."""
    rows = json.loads((ROOT / "results/english.json").read_text())["rows"]
    lines = [["", "measured", "bar", "n"], ["---"] * 4]
    lines += [[f"`{r['id']}`", f"{r['value']:.3g}", r["bar"] or "-", f"{r['n']:,}" if r["n"] else "-"] for r in rows]
    return _table(lines)


def headlines() -> str:
    """Return the README's table: some rows of each kind, and whether each meets its bar."""
    lines = [["", "measured", "bar", "met"], ["---"] * 4]
    for source, title in HEADLINES.items():
        name, id = source.split(":")
        row = next(r for r in json.loads((ROOT / f"results/{name}.json").read_text())["rows"] if r["id"] == id)
        lines.append([title, _number(row["value"], row["bar"]), row["bar"], "yes" if _met(**row) else "**no**"])
    return _table(lines)


def _met(value: float, bar: str, **_: object) -> bool:
    """Return whether a value meets the first number of a bar; a bar without a sign is one of equality."""
    sign, number = re.match(r"(>=|<=|<|>)?\s*([\d.]+)", bar.replace(",", "")).groups()  # type: ignore[union-attr]
    compare = {">=": operator.ge, "<=": operator.le, "<": operator.lt, ">": operator.gt, None: operator.eq}[sign]
    return compare(value, float(number))


def examples() -> str:
    """Return what opens the README, of scripts/examples.sh: a shift, a search, a reconstruction."""
    return _examples("shift", 1, 2, "search", 0, 1, "reconstruct", 0, 1)


def failures() -> str:
    """Return what scripts/examples.sh shows to go wrong: a shift, variations."""
    return _examples("shift", 0, 1, "vary", 0, 1)


def _examples(*chosen: str | int) -> str:
    """Return commands of results/examples.txt with their output: verb, first and end, and so on."""
    parts = (ROOT / "results/examples.txt").read_text(encoding="utf-8").strip().split("\n\n")
    kept = []
    for verb, first, end in zip(chosen[::3], chosen[1::3], chosen[2::3], strict=True):
        kept += [part for part in parts if f"textvae {verb} " in part.splitlines()[0]][first:end]
    return "```text\n" + "\n\n".join(kept) + "\n```\n"


def _transcript() -> str:
    return (ROOT / "results/demo.txt").read_text(encoding="utf-8").strip()


def _table(lines: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _rows(name: str) -> dict[str, float]:
    return {row["id"]: row["value"] for row in json.loads((ROOT / f"results/{name}.json").read_text())["rows"]}


if __name__ == "__main__":
    main()
