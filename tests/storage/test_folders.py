import hashlib
import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import flip_a_bit

from textvae.storage import folders as artifacts
from textvae.storage.atomic import atomic_path, read_json, sha256, write_json
from textvae.storage.errors import CorruptFileError
from textvae.storage.folders import (
    MANIFEST,
    atomic_folder,
    atomic_replacement,
    check_manifest,
    open_folder,
    read_folder,
    recover_folder,
    write_manifest,
)
from textvae.storage.locks import only_writer

OLD, NEW = "the old content", "the new content, which is longer"
SYSTEM_CALLS = [
    (os, "rename"), (os, "replace"), (os, "fsync"), (shutil, "rmtree"), (os, "unlink"), (artifacts, "exchange"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_patience(monkeypatch):
    """Writers of these tests are dead when others look."""
    monkeypatch.setattr(artifacts, "PATIENCE", 0.01)


@pytest.fixture(params=["exchange", "two renames"], autouse=True)
def swaps(request, monkeypatch):
    """Both ways of putting a folder in the place of another: not every system has the first."""
    if request.param == "two renames":
        monkeypatch.setattr(artifacts, "exchange", lambda first, second: False)
    return request.param


class Crash(BaseException):
    """Stands for the process ending where no `except Exception` helps."""


def write_folder(path: Path, content: str) -> None:
    with atomic_folder(path, "a.txt") as folder:
        (folder / "inner").mkdir()
        for name in ("a.txt", "inner/b.txt"):
            (folder / name).write_text(content)


def replace_listed(path: Path, content: str) -> None:
    with atomic_replacement(path, "a.txt") as staged:
        staged.write_text(content)


def replace_unlisted(path: Path, content: str) -> None:
    with atomic_replacement(path, "c.txt") as staged:
        staged.write_text(content)


def files_of(path: Path) -> dict[str, str]:
    folder = open_folder(path, "run", "a.txt")
    names = ("a.txt", "inner/b.txt", "c.txt")
    return {name: (folder / name).read_text() for name in names if (folder / name).exists()}


BEFORE = {"a.txt": OLD, "inner/b.txt": OLD}
CHANGES = {
    "folder": (write_folder, {"a.txt": NEW, "inner/b.txt": NEW}),
    "listed file": (replace_listed, {"a.txt": NEW, "inner/b.txt": OLD}),
    "unlisted file": (replace_unlisted, {"a.txt": OLD, "inner/b.txt": OLD, "c.txt": NEW}),
}
changes = pytest.mark.parametrize(("change", "after"), CHANGES.values(), ids=CHANGES)


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path / "run", OLD)
    return tmp_path / "run"


# Success


@changes
def test_a_change_is_whole_and_leaves_no_temporary_names(folder, change, after):
    change(folder, NEW)
    assert files_of(folder) == after
    left = {str(f.relative_to(folder.parent)) for f in folder.parent.rglob("*") if f.is_file()}
    assert left == {f"run/{name}" for name in (*after, MANIFEST)}


def test_the_manifest_holds_the_sha256_of_every_file(folder):
    digest = hashlib.sha256(OLD.encode()).hexdigest()
    assert sha256(folder / "a.txt") == digest
    assert read_json(folder / MANIFEST) == {"a.txt": [digest], "inner/b.txt": [digest]}


def test_parents_are_made(tmp_path):
    with atomic_path(tmp_path / "x" / "y" / "file") as staged:
        staged.write_text(NEW)
    write_folder(tmp_path / "z" / "run", NEW)
    assert (tmp_path / "x" / "y" / "file").read_text() == NEW
    assert (tmp_path / "z" / "run" / "a.txt").read_text() == NEW


def test_json_comes_back(tmp_path):
    content = {"é": [1, 2.5, None], "nested": {"a": "\U0001f98a"}}
    write_json(tmp_path / "x.json", content)
    assert read_json(tmp_path / "x.json") == content


# Failure inside the block


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, Crash])
@pytest.mark.parametrize("existed", [True, False])
def test_an_exception_leaves_the_old_file(tmp_path, error, existed):
    path = tmp_path / "file"
    if existed:
        path.write_text(OLD)
    with pytest.raises(error), atomic_path(path) as staged:
        staged.write_text(NEW[:5])
        raise error
    assert [f.read_text() for f in tmp_path.iterdir()] == [OLD] * existed


@pytest.mark.parametrize("existed", [True, False])
def test_an_exception_leaves_the_old_folder(tmp_path, existed):
    path = tmp_path / "run"
    if existed:
        write_folder(path, OLD)
    with pytest.raises(RuntimeError), atomic_folder(path, "a.txt") as staged:
        (staged / "a.txt").write_text(NEW)
        raise RuntimeError
    assert [f.name for f in tmp_path.iterdir()] == ["run"] * existed
    if existed:
        assert files_of(path) == BEFORE


def test_an_exception_leaves_the_file_that_was_to_be_replaced(folder):
    with pytest.raises(RuntimeError), atomic_replacement(folder, "a.txt") as staged:
        staged.write_text(NEW)
        raise RuntimeError
    assert files_of(folder) == BEFORE


@pytest.mark.parametrize("call", ["rename", "replace"])
@changes
def test_a_rename_that_fails_leaves_a_folder_that_opens(folder, monkeypatch, change, after, call):
    original, states = getattr(os, call), []
    for failing in range(1, 10):
        calls = iter(range(1, 100))

        def fail(*arguments, failing=failing, calls=calls):
            if next(calls) == failing:
                raise OSError(28, "No space left on device")
            return original(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            try:
                change(folder, NEW)
            except OSError:
                states.append(files_of(folder))
                continue
        break
    assert all(state in (BEFORE, after) for state in states)
    assert files_of(folder) == after


# The process dies


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked child")
@changes
def test_a_kill_at_any_moment_leaves_the_old_or_the_new_folder(tmp_path, change, after):
    states = []
    for moment in range(200):
        path = tmp_path / str(moment) / "run"
        write_folder(path, OLD)
        died = die_at(moment, change, path)
        states.append(files_of(path))
        change(path, NEW)  # and whatever the crash left is in nobody's way
        assert files_of(path) == after
        if not died:
            break
    assert not died and len(states) > 5
    assert all(state in (BEFORE, after) for state in states)
    assert states[0] == BEFORE and states[-1] == after


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked child")
def test_a_kill_at_any_moment_loses_nothing_that_others_put_into_the_folder(tmp_path):
    for moment in range(200):
        path = tmp_path / str(moment) / "run"
        write_folder(path, OLD)
        write_folder(path / "index", OLD)
        (path / "note").write_text("mine")
        died = die_at(moment, write_folder, path)
        write_folder(path, NEW)  # the next writer finds what the dead one left
        assert files_of(path) == {"a.txt": NEW, "inner/b.txt": NEW}
        assert files_of(path / "index") == BEFORE and (path / "note").read_text() == "mine"
        if not died:
            break
    assert not died and moment > 5


def test_only_the_files_of_the_writer_are_replaced(folder):
    (folder / "extra.txt").write_text(OLD)
    write_manifest(folder)  # extra.txt is listed, so it belongs to the folder
    (folder / "note.txt").write_text("mine")
    with atomic_folder(folder, "a.txt", own=("a.*", "inner")) as staged:
        (staged / "a.txt").write_text(NEW)
    assert sorted(f.name for f in folder.iterdir()) == ["a.txt", "extra.txt", MANIFEST, "note.txt"]
    assert sorted(read_json(folder / MANIFEST)) == ["a.txt", "extra.txt"]
    with atomic_folder(folder, "a.txt") as staged:
        (staged / "a.txt").write_text(OLD)
    assert sorted(f.name for f in folder.iterdir()) == ["a.txt", MANIFEST, "note.txt"]


def test_a_folder_behind_a_symbolic_link_is_written_and_the_link_stays(folder):
    link = folder.with_name("link")
    link.symlink_to(folder, target_is_directory=True)
    write_folder(link, NEW)
    assert link.is_symlink() and files_of(folder) == {"a.txt": NEW, "inner/b.txt": NEW}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked child")
@pytest.mark.parametrize("name", ["notes.txt", "sub/notes.txt", "a/b/notes.txt"])
@pytest.mark.parametrize("linked", [True, False])
def test_listed_files_stay_and_what_links_name_is_not_copied(folder, tmp_path, name, linked):
    """A stranger's manifest may list a link to a file of the user, who then saves there and shares the folder."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/notes.txt").write_text("secret")
    first, *inner = name.split("/")
    if linked:
        (folder / first).symlink_to(tmp_path / "outside" / ("" if inner else "notes.txt"))
    else:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {name: ["0" * 64]}))
    with atomic_folder(folder, "a.txt", own=["a.txt"]) as staged:
        (staged / "a.txt").write_text(NEW)
    plain = {p.name: p.read_text() for p in folder.rglob("*") if p.is_file() and not p.is_symlink()}
    assert plain["a.txt"] == NEW and plain.get("notes.txt") == (None if linked else "mine")
    assert (tmp_path / "outside/notes.txt").read_text() == "secret"


def test_a_kill_at_any_moment_leaves_the_old_or_the_new_file(tmp_path):
    def change(path, content):
        with atomic_path(path) as staged:
            staged.write_text(content)

    for moment in range(50):
        path = tmp_path / str(moment) / "file"
        change(path, OLD)
        died = die_at(moment, change, path)
        assert path.read_text() in (OLD, NEW)
        if not died:
            break
    assert not died and moment > 2


def die_at(moment: int, change, path: Path) -> bool:
    """Run a change in a child that dies, without any clean-up, before its nth system call that alters the disk."""
    child = os.fork()
    if child == 0:
        left = iter(range(moment, -1, -1))

        def dying(original):
            def call(*arguments, **options):
                if next(left) == 0:
                    os._exit(9)
                return original(*arguments, **options)

            return call

        for module, name in SYSTEM_CALLS:
            setattr(module, name, dying(getattr(module, name)))
        try:
            change(path, NEW)
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


def test_a_folder_between_two_renames_is_found_again(folder):
    folder.rename(folder.with_name(".replaced-run"))
    recover_folder(folder)
    assert files_of(folder) == BEFORE


def test_the_replaced_folder_goes_with_the_next_write(folder):
    shutil.copytree(folder, folder.with_name(".replaced-run"))
    assert files_of(folder) == BEFORE
    assert folder.with_name(".replaced-run").exists()  # a reader leaves to a writer what may be its own
    write_folder(folder, NEW)
    assert [f.name for f in folder.parent.iterdir()] == ["run"]


def test_a_living_writer_between_its_renames_is_not_undone(folder):
    replaced = folder.with_name(".replaced-run")
    folder.rename(replaced)
    with only_writer(folder), pytest.raises(BlockingIOError, match="this process is writing"):
        files_of(folder)
    assert replaced.exists()
    assert files_of(folder) == BEFORE  # the writer is gone, and is undone


def test_a_reader_waits_for_a_writer_between_its_renames(folder, monkeypatch):
    monkeypatch.setattr(artifacts, "PATIENCE", 60)
    replaced = folder.with_name(".replaced-run")
    folder.rename(replaced)
    writer = threading.Timer(0.05, lambda: replaced.rename(folder))
    writer.start()
    assert files_of(folder) == BEFORE
    writer.join()


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(folder):
    versions = iter([NEW, OLD])

    def read(path):
        first = (path / "a.txt").read_text()
        if (version := next(versions, None)) is not None:
            write_folder(path, version)
        return first, (path / "inner/b.txt").read_text()

    assert read_folder(folder, read) == (OLD, OLD)


def test_an_error_of_a_folder_that_has_gone_meanwhile_does_not_count(folder):
    errors = iter([ValueError, FileNotFoundError])

    def read(path):
        if (error := next(errors, None)) is not None:
            write_folder(path, NEW)
            raise error("of the folder before")
        return (path / "a.txt").read_text()

    assert read_folder(folder, read) == NEW
    with pytest.raises(ValueError, match="of this one"):
        read_folder(folder, lambda path: (_ for _ in ()).throw(ValueError("of this one")))


def test_readers_and_a_writer_do_not_meet(folder, monkeypatch):
    monkeypatch.setattr(artifacts, "PATIENCE", 60)
    seen, done = set(), threading.Event()

    def read():
        while not done.is_set():
            seen.add(tuple(read_folder(folder, files_of).values()))
        return True

    with ThreadPoolExecutor() as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for turn in range(60):
                write_folder(folder, (OLD, NEW)[turn % 2])
        finally:
            done.set()
        assert all(reader.result() for reader in readers)
    assert seen <= {(OLD, OLD), (NEW, NEW)}
    assert [f.name for f in folder.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("content", [OLD, NEW])
def test_the_manifest_accepts_the_old_and_the_new_file_while_it_changes_hands(folder, monkeypatch, content):
    accepted = []

    def watch(source, target):
        original(source, target)
        if Path(target).name == MANIFEST and not accepted:
            (folder / "a.txt").write_text(content)
            check_manifest(folder)
            (folder / "a.txt").write_text("something else")
            with pytest.raises(CorruptFileError, match="does not match its checksum"):
                check_manifest(folder)
            accepted.append(content)

    original = os.replace
    monkeypatch.setattr(os, "replace", watch)
    replace_listed(folder, NEW)
    assert accepted == [content]
    digest = hashlib.sha256(NEW.encode()).hexdigest()
    assert read_json(folder / MANIFEST)["a.txt"] == [digest]  # afterwards only the new one


# Damage


DAMAGE = {
    "flipped": (flip_a_bit, "does not match its checksum: it was truncated or altered"),
    "truncated": (lambda file: file.write_bytes(file.read_bytes()[:-1]), "does not match its checksum"),
    "emptied": (lambda file: file.write_bytes(b""), "does not match its checksum"),
    "missing": (Path.unlink, "is missing although manifest.json lists it"),
}


@pytest.mark.parametrize("name", ["a.txt", "inner/b.txt"])
@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named(folder, name, damage, message):
    damage(folder / name)
    with pytest.raises(CorruptFileError, match=rf"run/{name} {message}"):
        open_folder(folder, "run", "a.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not valid JSON"),
        (b"", "is not valid JSON"),
        (b'{"a": "\xff"}', "is not valid JSON"),
        (b"\x00\x01\x02", "is not valid JSON"),
        (b"[1, 2]", "holds an array, not a JSON object"),
        (b"null", "holds null, not a JSON object"),
    ],
)
def test_what_is_no_json_object_is_refused(tmp_path, content, message):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(CorruptFileError, match=f"x.json {message}"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("content", "message"), [("{", "is not valid JSON"), ('{"a.txt": "abc"}', "manifest.json is not a manifest")]
)
def test_a_damaged_manifest_is_refused(folder, content, message):
    (folder / MANIFEST).write_text(content)
    with pytest.raises(CorruptFileError, match=message):
        open_folder(folder, "run", "a.txt")


def test_there_must_be_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no run at .*nothing"):
        open_folder(tmp_path / "nothing", "run", "a.txt")


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="file is a file, not an index folder"):
        open_folder(tmp_path / "file", "index", "a.txt")


@pytest.mark.parametrize("has_manifest", [False, True])
def test_a_folder_of_another_kind_is_refused(tmp_path, has_manifest):
    (tmp_path / "other.txt").write_text("x")
    if has_manifest:  # an index given as a run, say
        write_manifest(tmp_path)
    with pytest.raises(ValueError, match="is not a run folder: it has no config.json"):
        open_folder(tmp_path, "run", "config.json")


def test_a_folder_without_a_manifest_opens(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    assert open_folder(tmp_path, "run", "a.txt") == tmp_path


def test_a_corrupt_file_is_a_value_error():
    assert issubclass(artifacts.CorruptFileError, ValueError)


def test_a_manifest_may_list_some_files_only(folder):
    write_json(folder / MANIFEST, {"a.txt": read_json(folder / MANIFEST)["a.txt"]})
    (folder / "inner" / "b.txt").write_text("changed")
    check_manifest(folder)


def test_a_folder_of_another_kind_is_not_replaced(tmp_path):
    path = tmp_path / "thesis"
    path.mkdir()
    (path / "chapter1.txt").write_text(OLD)
    with pytest.raises(FileExistsError, match="holds something else"):
        write_folder(path, NEW)
    assert [f.name for f in path.iterdir()] == ["chapter1.txt"]
