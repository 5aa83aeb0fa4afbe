"""The verb that trains."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, ArgumentCollection, Parameter
from cyclopts.config import Dict

from ..storage.atomic import read_json
from ..storage.errors import CorruptFileError
from ..storage.plain import check_plain_file
from ..storage.schema import read_measurements
from ..training.config import TrainConfig, without_retired
from .errors import UsageError
from .options import (
    DEVICE,
    PRINTING,
    READING,
    Device,
    Output,
    Printing,
    Reading,
    Run,
    Seed,
    Source,
    at_least,
    hush_libraries,
    names_a_folder,
)

OPTIONS = TrainConfig()
FEW = 2000  # texts below which a model from scratch writes few sentences that make sense
SHIPPED = Path(__file__).resolve().parents[2] / "data" / "train.tsv"
TRAINING, METRICS = "training.json", "metrics.jsonl"


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
        group: Column of the corpus with the group of each text, such as the picture it describes; --contrastive pulls
            members of a group together.
        resume: Continue the run from its newest checkpoint, with its options.
        config: JSON file of options, such as {"size": "base", "epochs": 3}; flags take precedence.
        options: The training options.
    """
    if group is not None and not options.contrastive:
        raise UsageError("--group is for the contrastive term: set --contrastive above 0. See textvae train --help")
    names_a_folder(output, "a run")
    texts, groups = _texts_and_groups(reading, corpus, printing, group)
    held_out = list(reading.texts(valid, printing)) if valid is not None else None
    hush_libraries()
    from ..training.environment import launched
    from ..training.train import train as train_run

    train_run(texts, output, options, valid=held_out, groups=groups, resume=resume)
    if not launched().first:
        return
    best = best_validation(output)
    numbers = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in best.items() if name != "step")
    printing.result({"run": str(output)} | best, f"{output}: best validation at step {best.get('step')}: {numbers}")
    if len(texts) < FEW and options.from_ is None and not options.encoder:
        printing.note(
            f"{len(texts):,} texts teach a model little from scratch: go on from one that is trained, "
            "--from RUN --beta 0.001 --free-bits 0.5, such as data/models/english"
        )


def distill(
    run: Run,
    corpus: Source | None = None,
    /,
    *,
    output: Output,
    static: bool = False,
    epochs: int = 30,
    seed: Seed = 0,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Write a run with a faster encoder that imitates that of RUN, and the same decoder.

    A static encoder has one vector for each token; a text is their mean. It encodes hundreds of times faster than a
    Transformer and knows no word order. Texts are written from the meaning alone, without wording slots.

    Args:
        corpus: Texts like those to be encoded, better 50,000 than 5,000; by default those that ship.
        output: Run folder to write.
        static: Make a static encoder, the only kind there is.
        epochs: Passes over the texts.
        seed: Seed of their order.
    """
    if not static:
        raise UsageError("distill needs --static, the kind of encoder to make. See textvae distill --help")
    at_least(1, "--epochs", epochs)
    names_a_folder(output, "a run")
    if output.resolve() == run.resolve():
        raise UsageError("distill keeps the run it learns from: choose another folder. See textvae distill --help")
    if output.is_dir() and any(output.iterdir()) and not (output / "config.json").exists():
        raise FileExistsError(f"{output} exists and is not a run: choose another folder")
    if corpus is None and not SHIPPED.exists():
        raise FileNotFoundError(f"there is no {SHIPPED}, which is in a checkout of the project: name a corpus")
    texts = list(reading.texts(str(SHIPPED) if corpus is None else corpus, printing))
    vae = device.load(run)
    from ..training.static import distill_static

    made = distill_static(vae, texts, epochs=epochs, seed=seed)
    made.vae.save_pretrained(output)
    record = {"run": str(output), "texts": len(texts), "cosine": round(made.cosine, 4)}
    told = f"{output}: cosine {made.cosine:.3f} with the latents of {run} on held-out texts"
    printing.result(record, told)


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
    """Set the options of `train` that have no flag from --config, or from the run that --resume continues."""
    if commands != ("train",):
        return
    given = {name: arguments[name].tokens for name in ("--config", "--resume", "--output")}
    if given["--config"]:
        path = Path(given["--config"][0].value)
        options = _config_file(path)
    elif given["--resume"] and given["--output"]:
        path = Path(given["--output"][0].value) / TRAINING
        options = read_json(path).get("options", {}) if path.is_file() else {}
        if not isinstance(options, dict):
            raise CorruptFileError(f"{path} has no options: restore it from a copy")
    else:
        return
    present = {name.rstrip("_"): value for name, value in without_retired(options).items() if value is not None}
    Dict(data=present, source=str(path), use_commands_as_keys=False)(app, commands, arguments)


def _config_file(path: Path) -> dict[str, Any]:
    try:
        options = read_json(path)
    except CorruptFileError as error:  # written by hand: bad input, not a damaged file
        raise ValueError(str(error)) from error
    options = {"from_" if name == "from" else name: value for name, value in options.items()}
    TrainConfig.from_dict(options)
    return options


def best_validation(run: Path) -> dict[str, float]:
    """Return the step and the numbers measured at a run's best validation, {} if there was none."""
    try:
        path = check_plain_file(run, METRICS)  # lines are added while training runs: the manifest does not list it
    except FileNotFoundError:
        return {}
    rows = read_measurements(path)
    best: dict[str, float] = min((row for row in rows if "eval_loss" in row), key=itemgetter("eval_loss"), default={})
    measured = ("step", *(name for name in best if name.startswith("eval_")))
    return {name.removeprefix("eval_"): best[name] for name in measured} if best else {}
