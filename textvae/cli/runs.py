"""Verbs of runs: train, measure, draw, and say what a folder holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, ArgumentCollection, Parameter
from cyclopts.config import Dict

from ..artifacts import CorruptFileError, check_manifest, open_folder, read_json, write_json
from ..train_config import TrainConfig
from .errors import UsageError
from .options import (
    DEVICE,
    PRINTING,
    READING,
    Device,
    Output,
    Printing,
    Reading,
    Seed,
    Source,
    at_least,
    can_write_file,
    can_write_folder,
    hush_libraries,
)

OPTIONS = TrainConfig()
TRAINING, METRICS = "training.json", "metrics.jsonl"
WORTHWHILE = 0.05  # a gain below this is noise


def train(
    corpus: Source,
    /,
    *,
    output: Output,
    valid: Source | None = None,
    group: str | None = None,
    resume: bool = False,
    config: Path | None = None,
    options: Annotated[TrainConfig, Parameter(name="*")] = OPTIONS,
    reading: Reading = READING,
    printing: Printing = PRINTING,
) -> None:
    """Train a model on a corpus.

    Args:
        corpus: File of texts, a data set on the hub, or - for standard input.
        output: Run folder to write.
        valid: File of validation texts; by default 5% of the corpus, 2,000 at most.
        group: Column of the corpus with the group of each text, such as the picture it describes: what --contrastive
            draws together.
        resume: Continue the run from its newest checkpoint, with its options.
        config: JSON file of options, such as {"size": "base", "epochs": 3}; flags win.
        options: The training options.
        reading: How the texts are read.
        printing: What is printed.
    """
    if group is not None and not options.contrastive:
        raise UsageError("--group is for the contrastive term: set --contrastive above 0. See textvae train --help")
    texts, groups = _texts_and_groups(reading, corpus, printing, group)
    held_out = list(reading.texts(valid, printing)) if valid is not None else None
    hush_libraries()
    from ..training import train as train_run

    with printing.progress():
        train_run(texts, output, options, valid=held_out, groups=groups, resume=resume)
    best = best_validation(output)
    numbers = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in best.items() if name != "step")
    printing.result({"run": str(output)} | best, f"{output}: best validation at step {best.get('step')}: {numbers}")


def _texts_and_groups(
    reading: Reading, corpus: Source, printing: Printing, group: str | None
) -> tuple[list[str], list[str] | None]:
    if group is None:
        return list(reading.texts(corpus, printing)), None
    rows = list(reading.rows(corpus, printing, [group]))
    missing = sum(row[group] is None or row[group] == "" for row in rows)
    if missing:
        raise ValueError(f"{missing:,} of {len(rows):,} texts have no group: leave them out of the corpus")
    return [str(row["text"]) for row in rows], [str(row[group]) for row in rows]


def options_from_file(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Give `train` the options that no flag set: those of --config, or of the run that --resume continues."""
    if commands != ("train",):
        return
    given = {name: arguments[name].tokens for name in ("--config", "--resume", "--output")}
    if given["--config"]:
        path = Path(given["--config"][0].value)
        options = _config_file(path)
    elif given["--resume"] and given["--output"]:
        path = Path(given["--output"][0].value) / TRAINING
        options = read_json(path).get("options", {}) if path.exists() else {}
    else:
        return
    present = {name.rstrip("_"): value for name, value in options.items() if value is not None}
    Dict(data=present, source=str(path), use_commands_as_keys=False)(app, commands, arguments)


def _config_file(path: Path) -> dict[str, Any]:
    try:
        options = read_json(path)
    except CorruptFileError as error:  # written by hand: a mistake, not damage
        raise ValueError(str(error)) from error
    options = {"from_" if name == "from" else name: value for name, value in options.items()}
    TrainConfig.from_dict(options)
    return options


def evaluate(
    run: Path,
    texts: Source,
    /,
    *,
    num_samples: int = 128,
    n_prior: int = 1000,
    n_paths: int = 100,
    lm: str | None = None,
    reverse: bool = False,
    prior: Literal["fitted", "standard"] = "fitted",
    guidance: float | None = None,
    factor: Sequence[str] = (),
    seed: Seed = 0,
    output: Output | None = None,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Measure a model on held-out texts: likelihood, reconstruction, use of the latent, variety, fluency, geometry.

    Args:
        run: Run folder.
        texts: File of texts, a data set on the hub, or - for standard input.
        num_samples: Importance samples per text; the likelihood bound tightens with them.
        n_prior: Texts sampled from the prior.
        n_paths: Interpolations between random pairs of the texts.
        lm: Folder or hub id of a causal LM that judges fluency.
        reverse: Train a small LM on the samples and score the texts with it; take --n-prior 10000 then.
        prior: Sample from the prior that training fitted to its latents, or from the standard normal of the loss.
        guidance: Weight of the latent in the samples, as in textvae sample.
        factor: Column with a known factor of the texts, such as their tense; give it once for each factor to measure
            whether single dimensions stand for them.
        seed: Seed of everything random.
        output: Also write the report to this JSON file.
        reading: How the texts are read.
        device: Where the model runs.
        printing: What is printed.
    """
    at_least(1, "--num-samples", num_samples)
    at_least(1, "--n-prior", n_prior)
    at_least(1, "--n-paths", n_paths)
    can_write_file(output)
    rows = list(reading.rows(texts, printing, factor))
    corpus = [str(row["text"]) for row in rows]
    vae = device.load(run)
    from ..evaluation import evaluate as measure
    from ..evaluation.disentanglement import codes

    report = measure(
        vae,
        corpus,
        num_samples=num_samples,
        n_prior=n_prior,
        n_paths=n_paths,
        lm=lm,
        reverse=reverse,
        prior=prior,
        guidance=guidance,
        factors=codes([[row[name] for name in factor] for row in rows]) if factor else None,
        seed=seed,
    )
    if printing.json:
        printing.facts(report.to_dict())
    else:
        for line in str(report).splitlines():
            printing.result({}, line)
    if output:
        write_json(output, report.to_dict())


def plot(
    run: Path,
    corpus: Source | None = None,
    /,
    *,
    label: str | None = None,
    axes: Literal["pca", "umap", "pacmap"] = "pca",
    output: Output | None = None,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Draw the training curves of a run; with a corpus, its map in latent space and the latents beside the prior.

    Args:
        run: Run folder.
        corpus: Texts to draw: map.png, map.html and dimensions.png beside the curves, if there are any.
        label: Column of the corpus that colours the map.
        axes: The map's axes: two principal components, or umap or pacmap where they are installed.
        output: Picture of the curves, by default training.png in the run folder; with a corpus, the folder of all.
        reading: How the texts are read; --limit keeps the map light.
        device: Where the model runs.
        printing: What is printed.
    """
    if not run.is_dir():
        open_folder(run, "run", "config.json")
    if label is not None and corpus is None:
        raise UsageError("--label needs a corpus to draw")
    from .. import pictures

    if corpus is None:
        paths = [pictures.plot_training(run, output)]
    else:
        rows = list(reading.rows(corpus, printing, [label] if label else []))
        folder = output or run
        trained = (run / METRICS).exists()
        paths = [pictures.plot_training(run, folder / "training.png")] if trained else []
        texts = [str(row["text"]) for row in rows]
        posterior = device.load(run).posterior(texts)
        labels = [str(row[label]) for row in rows] if label else None
        means = posterior.mean.numpy()
        paths += pictures.plot_map(means, texts, labels, folder / "map.png", axes)
        paths.append(pictures.plot_dimensions(means, posterior.std.numpy(), folder / "dimensions.png"))
    for path in paths:
        printing.result({"picture": str(path)}, str(path))


def export(
    run: Path,
    /,
    *,
    output: Output,
    to: Literal["sentence-transformers"] = "sentence-transformers",
    printing: Printing = PRINTING,
) -> None:
    """Write the encoder of a run as a folder that another library loads without textvae.

    Args:
        run: Run folder of a model with a pretrained encoder.
        output: Folder to write.
        to: The library: SentenceTransformer(OUTPUT) then gives the latents that textvae encode gives.
        printing: What is printed.
    """
    can_write_folder(output, "export", "modules.json")
    vae = Device(device="cpu").load(run)
    from ..exporting import save_sentence_transformer

    save_sentence_transformer(vae, output)
    record = {"output": str(output), "to": to, "dim": vae.dim}
    printing.result(record, f"wrote {output} for {to}: vectors of {vae.dim} dimensions")


def info(path: Path, /, *, printing: Printing = PRINTING) -> None:
    """Say what a run, an index or an attribute folder holds.

    Args:
        path: The folder.
        printing: What is printed.
    """
    kinds: dict[str, Callable[[Path], dict[str, Any]]] = {
        "index.json": _index_facts,
        "attribute.json": _attribute_facts,
        "config.json": _run_facts,
    }
    for mark, facts in kinds.items():
        if (path / mark).is_file():
            printing.facts(facts(path))
            return
    if not path.exists():
        raise FileNotFoundError(f"there is no run, index or attribute at {path}")
    if path.is_dir():
        check_manifest(path)
    raise ValueError(f"{path} is neither a run, an index nor an attribute: it has no {', '.join(kinds)}")


def doctor(*, printing: Printing = PRINTING) -> None:
    """Say what this machine gives, and which settings of its memory allocator make training faster.

    Trains a small model for some seconds under each setting: about a minute in all.

    Args:
        printing: What is printed.
    """
    hush_libraries()
    from .. import doctor

    printing.facts(doctor.facts())
    printing.note("training under each setting of the memory allocator ...")
    trials = doctor.allocator_trials()
    now = trials[0].tokens_per_second
    for trial in trials:
        record = asdict(trial) | {"gain": round(trial.tokens_per_second / now - 1, 3)}
        shown = f"{trial.tokens_per_second:7,.0f} tokens/s ({record['gain']:+.0%})  {trial.peak_mb:6,.0f} MB"
        printing.result(record, f"{trial.name:18} {shown}")
    best = max(trials, key=lambda trial: trial.tokens_per_second)
    if best.tokens_per_second > (1 + WORTHWHILE) * now:
        words = " ".join(f"{name}={value}" for name, value in best.variables.items())
        printing.note(f"for {best.tokens_per_second / now - 1:.0%} more: export {words}")


def best_validation(run: Path) -> dict[str, float]:
    """Return the step and the measurements of a run's best validation, {} if there was none."""
    if not (run / METRICS).exists():
        return {}
    rows = [json.loads(line) for line in (run / METRICS).read_text(encoding="utf-8").splitlines()]
    best: dict[str, float] = min((row for row in rows if "eval_loss" in row), key=itemgetter("eval_loss"), default={})
    measured = ("step", *(name for name in best if name.startswith("eval_")))
    return {name.removeprefix("eval_"): best[name] for name in measured} if best else {}


def _run_facts(path: Path) -> dict[str, Any]:
    open_folder(path, "run", "config.json")
    config = read_json(path / "config.json")
    if config.get("model_type") != "textvae":
        raise ValueError(f"{path} holds a model of another kind, not a run of textvae")
    made_from = read_json(path / TRAINING) if (path / TRAINING).exists() else {}
    best = {f"best_{name}": value for name, value in best_validation(path).items()}
    return {
        "kind": "run",
        "path": str(path),
        "encoder": config["encoder"]["model_type"],
        "decoder": config["decoder"]["model_type"],
        "latent_dim": config["latent_dim"],
        "vocab_size": config["decoder"]["vocab_size"],
        "max_length": config["max_length"],
        "parameters": _count_parameters(path),
        "sentences": made_from.get("sentences"),
        "steps": made_from.get("steps"),
    } | best


def _count_parameters(path: Path) -> int:
    from math import prod

    from safetensors import safe_open

    count = 0
    for file in path.glob("model*.safetensors"):
        with safe_open(file, "numpy") as weights:
            count += sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return count


def _index_facts(path: Path) -> dict[str, Any]:
    from ..index import LatentIndex

    index = LatentIndex.load(path)
    return {
        "kind": "index",
        "path": str(path),
        "texts": len(index),
        "dim": index.dim,
        "factory": index.factory,
        "metric": index.metric,
        "model": index.model_path and str(index.model_path),
        "fingerprint": index.fingerprint,
    }


def _attribute_facts(path: Path) -> dict[str, Any]:
    from ..attributes import Attribute

    attribute = Attribute.load(path)
    return {
        "kind": "attribute",
        "path": str(path),
        "name": attribute.name,
        "probe": attribute.probe,
        "negative": attribute.negative,
        "positive": attribute.positive,
        "examples": attribute.examples,
        "unlabelled": attribute.unlabelled,
        "accuracy": attribute.accuracy,
        "interval": attribute.interval,
        "fingerprint": attribute.fingerprint,
    }
