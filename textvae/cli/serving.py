"""The verb that serves a run over HTTP."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..storage.folders import open_folder
from .attributes import ABOUT as ATTRIBUTE
from .errors import UsageError
from .index import check_index
from .options import DEVICE, PRINTING, Device, Printing, folder_of

if TYPE_CHECKING:
    from ..latent.vae import TextVAE

LOCAL = ("127.0.0.1", "localhost", "::1")
SHORTEST_KEY = 16  # characters
Named = Annotated[Sequence[str], Parameter(consume_multiple=False)]
Switch = Annotated[bool, Parameter(negative=())]
SHIPPED = Path(__file__).resolve().parents[2] / "data"
DEMO_TEXTS = 5000
DEMO_LABELLED = 300  # texts that the demo's attributes are learnt from
DEMO_ATTRIBUTES = {"sentiment": ("negative", "positive"), "tense": ("past", "future")}


def serve(
    run: Path | None = None,
    /,
    *,
    index: Named = (),
    attribute: Named = (),
    host: str = "127.0.0.1",
    port: int = 8080,
    api_key_file: Path | None = None,
    writable: Switch = False,
    demo: Switch = False,
    batching: Annotated[bool, Parameter(negative="--no-batching")] = True,
    device: Device = DEVICE,
    printing: Printing = PRINTING,
) -> None:
    """Serve a run over HTTP: embeddings as OpenAI has them, search, and texts from the latent space.

    Needs the extra: pip install 'textvae[serve]'. Ctrl-C or SIGTERM ends it: requests that run are answered first.

    Args:
        run: Run folder, or org/name on the hub.
        index: NAME=FOLDER of an index of this run; once for each.
        attribute: NAME=FOLDER of an attribute of this run; once for each.
        host: Address to listen on; any but this machine's own needs --api-key-file.
        port: Port to listen on; 0 takes a free one.
        api_key_file: File whose first line is the key that clients send as Authorization: Bearer KEY.
        writable: Let clients change indexes, and keep attributes in RUN/attributes.
        demo: Serve the model that ships, with an index and two attributes of the corpus that ships in a temporary
            folder.
        batching: Run what several requests ask of the model together; --no-batching shows what that gains.
        device: Where the model runs.
        printing: What is printed.
    """
    if (run is None) != demo:
        raise UsageError("serve takes a run, or --demo alone. See textvae serve --help")
    if not 0 <= port <= 65535:
        raise UsageError(f"--port must be from 0 to 65535, got {port}. See textvae serve --help")
    key = _read_key(api_key_file)
    if host not in LOCAL and key is None:
        raise UsageError(f"{host} can be reached by others: give --api-key-file. See textvae serve --help")
    indexes, attributes = _named("--index", index), _named("--attribute", attribute)
    for folder in indexes.values():
        check_index(folder)
    for folder in attributes.values():
        open_folder(folder, "attribute", ATTRIBUTE)
    source = _shipped_model() if run is None else folder_of(run)
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "the server needs fastapi, uvicorn and prometheus-client: pip install 'textvae[serve]'"
        ) from error
    from ..server.run import bind, make_server
    from ..server.run import serve as serve_requests

    with ExitStack() as stack:
        listening = stack.enter_context(bind(host, port))
        printing.note(f"loading {source}")
        vae = device.load(source)
        from ..server.metrics import Metrics
        from ..server.workspace import Workspace

        kept = None
        if demo:
            kept = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="textvae-demo-")))
            indexes |= {"reviews": _demo_index(vae, kept / "reviews", printing)}
            attributes |= _demo_attributes(vae, kept / "learnt", printing)
        metrics = Metrics()
        space = Workspace(
            vae, source.resolve().name, indexes=indexes, attributes=attributes, writable=writable or demo,
            folder=kept and kept / "attributes", measure=metrics.batch, batching=batching,
        )  # fmt: skip
        where = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
        printing.result({"url": where, "run": str(source), "indexes": sorted(indexes)}, where)
        sys.stdout.flush()
        serve_requests(make_server(space, metrics, key), listening)


def _read_key(path: Path | None) -> str | None:
    if path is None:
        return None
    with open(path, encoding="utf-8") as file:
        key = file.readline(1000).strip()
    if len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable():
        raise ValueError(f"the first line of {path} must be a key of at least {SHORTEST_KEY} ASCII characters")
    return key


def _named(flag: str, given: Sequence[str]) -> dict[str, Path]:
    """Return the folders of NAME=FOLDER by name."""
    found: dict[str, Path] = {}
    for each in given:
        name, equals, folder = each.partition("=")
        if not equals or not name or not folder:
            raise UsageError(f"{flag} takes NAME=FOLDER, got {each!r}. See textvae serve --help")
        if name in found:
            raise UsageError(f"{flag} has the name {name!r} twice. See textvae serve --help")
        found[name] = Path(folder)
    return found


def _shipped_model() -> Path:
    folder = SHIPPED / "models" / "english"
    if not (folder / "config.json").exists():
        raise FileNotFoundError(f"--demo needs {folder}: run it from a checkout of the project")
    return folder


def _demo_index(vae: TextVAE, path: Path, printing: Printing) -> Path:
    from ..index import LatentIndex
    from ..text.corpus import read_rows

    fields = ["topic", "sentiment", "tense"]
    printing.note(f"indexing {DEMO_TEXTS:,} reviews")
    LatentIndex.build(vae, read_rows(str(SHIPPED / "train.tsv"), columns=fields, limit=DEMO_TEXTS), path=path)
    return path


def _demo_attributes(vae: TextVAE, folder: Path, printing: Printing) -> dict[str, Path]:
    from ..attributes.attribute import Attribute
    from ..text.corpus import read_rows

    printing.note(f"learning {' and '.join(DEMO_ATTRIBUTES)}")
    rows = list(read_rows(str(SHIPPED / "train.tsv"), columns=list(DEMO_ATTRIBUTES), limit=DEMO_LABELLED))
    for name, (low, high) in DEMO_ATTRIBUTES.items():
        known = [row for row in rows if row[name] in (low, high)]
        labels = [str(row[name]) for row in known]
        Attribute.fit_labels(vae, [str(row["text"]) for row in known], labels, positive=high, name=name).save(
            folder / name
        )
    return {name: folder / name for name in DEMO_ATTRIBUTES}
