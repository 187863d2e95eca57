"""merge: the weights of an arm that is an average of trained arms and the base model."""

import json
import shutil
from pathlib import Path

from holdfast.chat.template import load_tokenizer
from holdfast.common.arm_file import file_of
from holdfast.common.averages import BASE, all_shares, in_words
from holdfast.common.errors import UserError
from holdfast.common.files import replacing
from holdfast.common.hub import offline_hint
from holdfast.common.run_names import arm_and_seed
from holdfast.common.section import value
from holdfast.common.step import arguments, run
from holdfast.common.wording import counted
from holdfast.inference.model_files import pinned_loading
from holdfast.steps.merge.average import write_average
from holdfast.steps.merge.folder import check_tokenizers, config_of, copy_settings, copy_weights, set_dtype
from holdfast.steps.merge.weights import check_alike, tensors_in, without_tied_head


def folder_of(path: str, revision: str | None) -> Path:
    """The base model's folder; for a Hugging Face id, that of the commit in the local cache, fetched if need be.

    Raises UserError when it is not there and cannot be fetched.
    """
    if Path(path).is_dir():
        return Path(path)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(path, revision=revision, allow_patterns=["*.safetensors", "*.json"]))
    except Exception as error:  # the hub's client raises many types
        raise UserError(f"{path}: its weights are not on this machine ({error})" + offline_hint()) from error


def main() -> None:
    args = arguments(__doc__, "run", "base", "model", many=("arms",))
    arm, nth = arm_and_seed(args.run)
    merge = value(args.params, f"arms.{arm}.merge", file_of(arm))
    shares, loaded = all_shares(merge), pinned_loading(args.params, args.base)
    trained = {arm_and_seed(Path(path).name)[0]: Path(path) for path in sorted(args.arms)}
    folders = {BASE: folder_of(args.base, loaded["revision"])} | trained
    configs = {name: config_of(folder) for name, folder in folders.items()}
    tokenizer = load_tokenizer(args.base, **loaded)
    for folder in trained.values():
        own = load_tokenizer(str(folder), trust_remote_code=loaded["trust_remote_code"])
        check_tokenizers(tokenizer, args.base, own, folder)
    models = without_tied_head({name: tensors_in(folder) for name, folder in folders.items()}, configs[BASE])
    check_alike(models, folders)

    settings = next(name for name in [*shares, *trained] if name != BASE)
    about = {"arm": arm, "training_seed": nth, "base": args.base, "average": shares}
    for left in Path(args.model).parent.glob(f".{args.run}.*.part"):  # by a killed job: as large as a model
        shutil.rmtree(left)
    with replacing(args.model) as folder:
        folder.mkdir()
        copy_settings(folders[settings], folder)
        if len(shares) == 1:  # no arithmetic: the same bytes
            (name,) = shares
            copy_weights(models[name], folders[name], folder)
        else:
            name = BASE
            write_average(models, shares, folder)
        if name == BASE:
            set_dtype(folder, models[BASE])
        (folder / "holdfast.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    print(f"merge {args.run}: {in_words(merge)}, {counted(len(models[BASE]), 'tensor')}", flush=True)


if __name__ == "__main__":
    run(main)
