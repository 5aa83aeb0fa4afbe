"""Flags and verbs of other tools, and their names here."""

from __future__ import annotations

from cyclopts import (
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

# The first of the names that the verb has is suggested.
FLAGS: dict[str, tuple[str, ...]] = {
    "-a": ("--attribute",),
    "-n": ("-k",),
    "--lr": ("--learning-rate",),
    "--batch": ("--batch-size", "--batch-tokens"),
    "--batch-size": ("--batch-tokens",),
    "--bs": ("--batch-size", "--batch-tokens"),
    "--count": ("-n",),
    "--data": ("--input",),
    "--dropout-words": ("--word-dropout",),
    "--field": ("--column",),
    "--filter": ("--where",),
    "--kl-weight": ("--beta",),
    "--latent-size": ("--latent-dim",),
    "--max-samples": ("--limit",),
    "--metadata": ("--keep",),
    "--model": ("--size", "--from"),
    "--num": ("-n",),
    "--num-epochs": ("--epochs",),
    "--num-samples": ("-n",),
    "--num-steps": ("--max-steps",),
    "--num-train-epochs": ("--epochs",),
    "--out": ("--output",),
    "--output-dir": ("--output",),
    "--random-seed": ("--seed",),
    "--silent": ("--quiet",),
    "--steps": ("--max-steps", "-n"),
    "--temp": ("--temperature",),
    "--text-column": ("--column",),
    "--top": ("-k",),
    "--top-k": ("-k",),
    "--topk": ("-k",),
    "--validation": ("--valid",),
    "--wd": ("--weight-decay",),
    "--z-dim": ("--latent-dim",),
}
VERBS: dict[str, str] = {
    "anomaly": "score",
    "average": "blend",
    "build": "index",
    "embed": "encode",
    "embeddings": "encode",
    "evaluate": "eval",
    "find": "search",
    "fit": "train",
    "generate": "sample",
    "inspect": "info",
    "interp": "interpolate",
    "map": "plot",
    "mix": "blend",
    "morph": "interpolate",
    "novelty": "score",
    "outliers": "score",
    "paraphrase": "vary",
    "query": "search",
    "rephrase": "vary",
    "roundtrip": "reconstruct",
    "steer": "shift",
    "style": "shift",
    "transfer": "shift",
    "vectorize": "encode",
}


def hint(error: CycloptsError) -> str | None:
    """Return the message for a mistake that newcomers make, None for any other one."""
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        word = error.unused_tokens[0]
        known = VERBS.get(word.lower())
        return known and f'Unknown command "{word}". Did you mean "{known}"?'
    if isinstance(error, UnknownOptionError):
        flag = (error.token.keyword or error.token.value).partition("=")[0]
        return _meant(
            flag, {name for argument in error.argument_collection if argument.parse for name in argument.names}
        )
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return _missing(error, set(error.argument.names))
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        words = ", ".join(map(repr, error.unused_tokens))
        return (
            f"There is no place for {words}: a text of several words goes between quotes, a file may need its option."
        )
    return None


def _meant(flag: str, there: set[str]) -> str | None:
    known = next((name for name in FLAGS.get(flag.lower().replace("_", "-"), ()) if name in there), None)
    return known and f"Unknown option: {flag}. Did you mean {known}?"


def _missing(error: MissingArgumentError, names: set[str]) -> str | None:
    """Return the message for what was not given, also under another name; None if only its value is missing."""
    given = [word.partition("=")[0] for word in error.root_input_tokens or ()]
    if error.argument is None or names & set(given):
        return None
    meant = next(filter(None, (_meant(word, names) for word in given)), None)
    return meant or f"{' '.join(error.command_chain or ())} needs {error.argument.name}."
