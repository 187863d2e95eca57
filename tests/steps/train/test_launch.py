"""How a run is started, resumed and recorded, without Axolotl."""

import json
from pathlib import Path

from holdfast.chat.template import Template, load_tokenizer
from holdfast.chat.training_template import end_of_turn
from holdfast.steps.train import launch
from holdfast.steps.train.loss_curve import curve
from models import tiny_model


def checkpoint(work, step, content=None):
    folder = work / "output" / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    state = json.dumps({"global_step": step, "max_steps": 40}) if content is None else content
    (folder / "trainer_state.json").write_text(state)
    return folder


def test_only_whole_checkpoints_before_the_last_step_are_resumed_from(tmp_path):
    (tmp_path / "prepared").mkdir()
    kept, torn, final = checkpoint(tmp_path, 20), checkpoint(tmp_path, 30, '{"glo'), checkpoint(tmp_path, 40)
    assert launch.prepare_to_resume(tmp_path) == 20
    assert [kept.exists(), torn.exists(), final.exists()] == [True, False, False]
    assert (tmp_path / "prepared").exists()


def test_without_a_checkpoint_the_prepared_data_is_made_anew(tmp_path):
    (tmp_path / "prepared").mkdir()
    assert launch.prepare_to_resume(tmp_path) == 0
    assert not (tmp_path / "prepared").exists()


def test_the_work_folder_is_named_for_the_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").write_text("one")
    first = launch.work_folder("arm", {"a": 1}, "data")
    other = launch.work_folder("arm-s1", {"a": 1}, "data")
    assert launch.work_folder("arm", {"a": 1}, "data") == first
    Path("data").write_text("two")
    second = launch.work_folder("arm", {"a": 1}, "data")
    assert second != first
    assert [first.exists(), second.exists(), other.exists()] == [False, True, True]


def test_the_end_of_a_turn_is_found_in_the_template():
    tokenizer = load_tokenizer(str(tiny_model()))
    assert end_of_turn(Template(tokenizer)) == "<|end|>"
    tokenizer.eos_token = "<|end|>"
    assert end_of_turn(Template(tokenizer)) is None


def test_the_curve_joins_training_and_validation_losses():
    log = [
        {"step": 0, "eval_loss": 3.0},
        {"step": 2, "loss": 2.5, "epoch": 0.5},
        {"step": 2, "eval_loss": 2.0},
        {"step": 4, "runtime": 1},
    ]
    lines = curve(log).splitlines()
    assert lines == ["step,epoch,loss,eval_loss,learning_rate,grad_norm", "0,,,3.0,,", "2,0.5,2.5,2.0,,"]
