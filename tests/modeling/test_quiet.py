"""transformers is silent inside the block, and as it was after it."""

import threading

import pytest
from transformers.utils import logging

from textvae import TextVAE
from textvae.modeling.quiet import quiet_transformers


@pytest.fixture
def loud():
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_info()
    logging.enable_progress_bar()
    yield
    logging.set_verbosity(before[0])
    (logging.enable_progress_bar if before[1] else logging.disable_progress_bar)()


def settings():
    return logging.get_verbosity(), logging.is_progress_bar_enabled()


LOUD, QUIET = (logging.INFO, True), (logging.ERROR, False)


def test_settings_come_back_after_an_error_too(loud):
    with pytest.raises(KeyError), quiet_transformers():
        assert settings() == QUIET
        raise KeyError
    assert settings() == LOUD


def test_blocks_of_several_threads_overlap(loud):
    entered, leave = threading.Event(), threading.Event()

    def other():
        with quiet_transformers():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with quiet_transformers():
        thread.start()
        assert entered.wait(10)
    assert settings() == QUIET  # the other one is still in its block
    leave.set()
    thread.join()
    assert settings() == LOUD


def test_bars_that_the_user_disabled_stay_disabled(loud):
    logging.disable_progress_bar()
    with quiet_transformers():
        pass
    assert not logging.is_progress_bar_enabled()


def test_saving_and_loading_a_run_write_nothing(loud, small_vae, tmp_path, capfd):
    TextVAE(small_vae.model, small_vae.tokenizer).save_pretrained(tmp_path / "run")
    TextVAE.from_pretrained(tmp_path / "run")
    assert capfd.readouterr() == ("", "")
    assert settings() == LOUD
