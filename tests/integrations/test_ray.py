"""A corpus encoded by the workers of Ray: each text once, whatever happens to the workers."""

import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from stubs import TEXTS, StubVAE

from textvae.cli import main
from textvae.index import shards
from textvae.index.shards import Encoded, EncodedCorpus

ROWS = [{"text": text, "n": n} for n, text in enumerate(TEXTS)]


class Dying(StubVAE):
    """A model whose process is killed while it encodes, so many times."""

    def __init__(self, marks, times):
        super().__init__()
        self.marks, self.times = Path(marks), times

    def encode(self, texts, /, *, batch_size=64):
        for number in range(self.times):
            try:
                (self.marks / str(number)).touch(exist_ok=False)
            except FileExistsError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(texts, batch_size=batch_size)


def corpus(rows=ROWS):
    shards.PART = 4  # in the process of the worker
    return iter(rows), None


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray")
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")  # which kills workers where other tests take the memory
        patch.setenv("RAY_worker_niceness", "0")  # by default 15, which starves beside other tests
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        paths = {"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}}  # of this module, which holds the model
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR", runtime_env=paths)
        yield
        ray.shutdown()


@pytest.mark.slow
def test_workers_that_die_lose_and_double_no_text(cluster, tmp_path):
    from textvae.integrations.ray import encode_with_ray

    (tmp_path / "marks").mkdir()
    load, folder = partial(Dying, tmp_path / "marks", 3), tmp_path / "shards"
    encode = partial(encode_with_ray, load, corpus, folder, workers=2)
    encode()
    assert len(list((tmp_path / "marks").iterdir())) == 3
    ids, rows, latents = zip(*EncodedCorpus(folder).rows(), strict=True)
    assert ids == tuple(range(60)) and list(rows) == ROWS
    np.testing.assert_array_equal(np.stack(latents), StubVAE().encode(TEXTS))
    assert encode() == Encoded(0, 60)
    (folder / "shard-00002-of-00008.part-00001.parquet").unlink()
    assert encode() == Encoded(4, 56)
    with pytest.raises(ValueError, match="was encoded from another corpus"):
        encode_with_ray(load, partial(corpus, ROWS[1:]), folder, workers=2)


@pytest.mark.slow
def test_the_command_line_encodes_with_ray_as_it_does_in_shards(cluster, run, tmp_path, sentences, capsys):
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text, "key": f"k{n}"}) + "\n" for n, text in enumerate(sentences)))
    options = ["--keep", "key", "--id", "key"]
    by_ray = ["encode", str(run), str(file), "--engine", "ray", "--workers", "1", "-o", str(tmp_path / "a"), *options]
    assert main(by_ray) == 0
    assert f"encoded {len(sentences)} texts to {tmp_path / 'a'}" in capsys.readouterr().out
    assert main([*by_ray, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unchanged"] == len(sentences)
    assert main(["encode", str(run), str(file), "--shard", "1/1", "-o", str(tmp_path / "b"), *options]) == 0
    ours, theirs = (list(EncodedCorpus(tmp_path / name).rows()) for name in "ab")
    assert [row[:2] for row in ours] == [row[:2] for row in theirs]
    np.testing.assert_allclose([row[2] for row in ours], [row[2] for row in theirs], atol=1e-5)


@pytest.mark.parametrize(
    "words, said",
    [
        (["--engine", "ray"], "--engine needs a folder to write to"),
        (["--engine", "ray", "--shard", "1/2", "-o", "x"], "--engine encodes every shard: leave --shard out"),
        (["--workers", "2"], "--workers belongs to --engine"),
    ],
)
def test_what_ray_cannot_do_is_a_wrong_use(run, sentences, tmp_path, capsys, words, said):
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(sentences))
    assert main(["encode", str(run), str(file), *words]) == 2
    assert said in capsys.readouterr().err
    assert main(["encode", str(run), "-", "--engine", "ray", "-o", str(tmp_path / "x")]) == 2
    assert "that every worker can read" in capsys.readouterr().err
