"""Axolotl's DPO trainer for pairs that are tokens already."""

from typing import Any

from axolotl.core.trainers.dpo.trainer import AxolotlDPOTrainer


class PairTrainer(AxolotlDPOTrainer):
    """Named as `trainer_cls` in the configuration of every run on pairs."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset  # TRL's renders texts and tokenises them
