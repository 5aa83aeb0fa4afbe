"""Verbs of the latent space: encode, decode, reconstruct, sample and vary."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ..storage.row_files import TABLES, save_latents
from .errors import UsageError
from .familiarity import Familiarity
from .index import Column, Keep, rows_and_ids
from .latent_files import columns_of, load_npy
from .options import (
    DEVICE,
    PRINTING,
    READING,
    Count,
    Device,
    Output,
    Printing,
    Reading,
    Run,
    Seed,
    Source,
    Text,
    at_least,
    blocks,
    can_write_file,
    sentences,
)
from .shards import encode_by_ray, encode_one_shard


def encode(
    run: Run,
    texts: Source,
    /,
    *,
    output: Output | None = None,
    id: Column | None = None,
    keep: Keep = None,
    shard: str | None = None,
    engine: Literal["ray"] | None = None,
    workers: int | None = None,
    batch_size: int = 64,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Turn texts into latents.

    With --shard 3/8 it encodes the third of eight shares of a corpus into a folder of Parquet files, which eight
    machines fill together and `textvae index RUN --from FOLDER` reads. Repeated, it goes on where it stopped.

    Args:
        texts: File of texts, a data set on the hub, or - for standard input.
        output: Write a file instead of printing a line of numbers for each text: .npy has the shape (texts,
            dimensions); .parquet, .jsonl, .csv and .tsv have id, text, metadata and vector; .txt has those lines.
        id: Column of the corpus with an id of each text, for such a table or --json; by default they are numbered.
        keep: Further column of the corpus to keep as metadata, for the same; may be repeated.
        shard: Share of the corpus to encode, such as 3/8; OUTPUT is then a folder.
        engine: Encode all shards in the workers of this engine, on this machine or the cluster of RAY_ADDRESS
            (pip install 'textvae[ray]'); OUTPUT is then a folder that every machine sees.
        workers: Number of its workers; by default one for each core, with --device cuda for each GPU.
        batch_size: Texts encoded together.
    """
    at_least(1, "--batch-size", batch_size)
    if shard is not None:
        if engine is not None:
            raise UsageError("--engine encodes every shard: leave --shard out. See textvae encode --help")
        encode_one_shard(run, texts, output, shard, id, keep, batch_size, reading, device, printing)
        return
    if workers is not None and engine is None:
        raise UsageError("--workers belongs to --engine. See textvae encode --help")
    if engine is not None:
        encode_by_ray(run, texts, output, workers, id, keep, batch_size, reading, device, printing)
        return
    can_write_file(output, (".npy", *TABLES, ".txt"))
    if (id or keep) and not (output.suffix.lower() in TABLES if output else printing.json):
        raise UsageError("--id and --keep go into .parquet, .jsonl, .csv, .tsv or --json. See textvae encode --help")
    corpus, ids = rows_and_ids(reading, texts, printing, id, keep)
    vae = device.load(run)
    from ..index.metadata import metadata_json

    encoded = (
        (columns, vae.encode(columns["text"], batch_size=batch_size))
        for columns in columns_of(corpus, ids, metadata_json)
    )
    if output:
        count = save_latents(output, encoded)
        record = {"output": str(output), "texts": count, "dim": vae.dim}
        printing.result(record, f"wrote {count:,} latents of {vae.dim} dimensions to {output}")
        return
    named = {"id": bool(id), "text": True, "metadata": bool(keep)}
    for columns, latents in encoded:
        shown = {name: values for name, values in columns.items() if named[name]}
        for *values, latent in zip(*shown.values(), latents.tolist(), strict=True):
            record = dict(zip(shown, values, strict=True)) | {"latent": latent}
            printing.result(record, " ".join(f"{number:.6g}" for number in latent))


def decode(
    run: Run,
    latents: Path,
    /,
    *,
    temperature: float = 0.0,
    top_p: float = 1.0,
    num_beams: int = 1,
    candidates: int = 1,
    refinements: int = 0,
    guidance: float = 1.0,
    repetition_penalty: float | None = None,
    no_repeat_ngram_size: int | None = None,
    max_length: int | None = None,
    seed: Seed | None = None,
    batch_size: int = 256,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Write a text for each latent of an npy file.

    Args:
        latents: File that `textvae encode -o` wrote, or any npy file of shape (texts, dimensions).
        temperature: 0 takes the likeliest token each time; above 0 samples.
        top_p: Sample among the likeliest tokens whose probabilities sum to this.
        num_beams: Beams of a beam search, without a temperature.
        candidates: Texts written for each latent; the one whose own latent lies nearest is printed. With a temperature
            the greedy text is tried too.
        refinements: Refinement rounds: re-encode the output and shift the target latent by the error.
        guidance: Weight of the latent; below 1 the texts are more fluent and less faithful.
        repetition_penalty: Above 1 makes tokens that a text already has less likely; by default 1, and 1.1 for a model
            with wording slots (1.3 without coverage).
        no_repeat_ngram_size: No text repeats so many tokens in a row; by default 0, which allows all, and 3 for a model
            with wording slots (2 without coverage).
        max_length: Longest text in tokens; by default the model's.
        seed: Seed of the sampling; by default random.
        batch_size: Latents decoded together.
    """
    at_least(1, "--batch-size", batch_size)
    points = load_npy(latents)
    written = device.load(run).decode(
        points,
        temperature=temperature,
        top_p=top_p,
        num_beams=num_beams,
        candidates=candidates,
        refinements=refinements,
        guidance=guidance,
        repetition_penalty=repetition_penalty,
        no_repeat_ngram_size=no_repeat_ngram_size,
        max_length=max_length,
        seed=seed,
        batch_size=batch_size,
    )
    for text in written:
        printing.result({"text": text}, text)


def reconstruct(
    run: Run,
    texts: Source,
    /,
    *,
    refinements: int = 0,
    exact: int = 0,
    batch_size: int = 256,
    reading: Reading = READING,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Write each text back from its latent.

    Args:
        texts: File of texts, a data set on the hub, or - for standard input.
        refinements: Refinement rounds: re-encode the output and shift the target latent by the error.
        exact: Write from exact latents: at most so many gradient steps on each text's latent, until greedy decoding
            gives the text back word for word; 25 are mostly enough. Not together with --refinements.
        batch_size: Texts encoded together.
    """
    at_least(1, "--batch-size", batch_size)
    at_least(0, "--exact", exact)
    if exact and refinements:
        raise UsageError("choose --exact or --refinements, not both. See textvae reconstruct --help")
    corpus = reading.texts(texts, printing)
    vae = device.load(run)
    familiarity = Familiarity(vae, printing)
    for block in blocks(corpus):
        written = vae.reconstruct(block, refinements=refinements, exact=exact, batch_size=batch_size)
        known = familiarity.of(block, None if refinements or exact else written)
        for source, text, number in zip(block, written, known, strict=True):
            printing.result({"source": source, "text": text, "familiarity": number}, text)
    familiarity.say()


def sample(
    run: Run,
    /,
    *,
    n: Count = 10,
    temperature: float = 0.0,
    top_p: float = 1.0,
    guidance: float | None = None,
    seed: Seed | None = None,
    prior: Literal["fitted", "standard"] = "fitted",
    drafts: int | None = None,
    batch_size: int = 256,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Write new texts from latents drawn from the prior.

    Args:
        n: Number of texts.
        temperature: Temperature of the tokens; at 0 all variety comes from the latents.
        top_p: Sample among the likeliest tokens whose probabilities sum to this.
        guidance: Weight of the latent; less is more fluent and less varied. By default 0.8 for a model trained with
            latent dropout, else 1.
        seed: Seed of the draw; by default random.
        prior: The prior fitted to the latents of the training texts, or N(0, I).
        drafts: Texts written for each one printed, the most natural of them; by default 4 for a model with wording
            slots that was trained with latent dropout, else 1.
        batch_size: Latents decoded together.
    """
    at_least(1, "n", n)
    at_least(1, "--batch-size", batch_size)
    written = device.load(run).sample(
        n,
        temperature=temperature,
        top_p=top_p,
        guidance=guidance,
        seed=seed,
        batch_size=batch_size,
        prior=prior,
        drafts=drafts,
    )
    for text in written:
        printing.result({"text": text}, text)


def vary(
    run: Run,
    text: Text,
    /,
    *,
    n: Count = 5,
    spread: float = 1.0,
    wording: float | None = None,
    temperature: float = 0.0,
    drafts: int | None = None,
    distinct: bool = True,
    exact: int = 0,
    seed: Seed | None = None,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Write variations of a sentence.

    Args:
        text: The sentence, or - for those of standard input.
        n: Variations of each sentence.
        spread: Width of the draw around the sentence's latent: 0 stays at it; 0.3 to 1 is a good start.
        wording: Share of the wording slots that are kept, for a model that has them: 1 is near a copy, 0 keeps the
            meaning alone; by default 0.5.
        temperature: Temperature of the tokens; at 0 all variety comes from the latents.
        drafts: Texts written for each variation, of which the one nearest to the sentence's latent is printed; by
            default 4 for a model with wording slots, else 1.
        distinct: Prefer drafts that are neither the sentence nor an earlier variation.
        exact: Keep the wording slots of an exact latent, found in at most so many gradient steps.
        seed: Seed of the draw; by default random.
    """
    at_least(1, "n", n)
    at_least(0, "--exact", exact)
    sources = sentences(text)
    vae = device.load(run)
    familiarity = Familiarity(vae, printing)
    for source in sources:
        (known,) = familiarity.of([source])
        for varied in vae.vary(
            source,
            n,
            spread=spread,
            wording=wording,
            temperature=temperature,
            drafts=drafts,
            distinct=distinct,
            exact=exact,
            seed=seed,
        ):
            printing.result({"source": source, "text": varied, "familiarity": known}, varied)
    familiarity.say()
