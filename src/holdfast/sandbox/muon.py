"""The Muon optimiser in float32.

`torch.optim.Muon` computes in bfloat16, which CPUs without such instructions emulate: 30 times slower.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of Keller Jordan, "Muon" (2024)
NEWTON_SCHULZ_STEPS = 5


class Muon(torch.optim.Optimizer):
    """Momentum whose updates are orthogonalised, for weight matrices (K. Jordan, "Muon", 2024)."""

    def __init__(
        self, matrices: Iterable[torch.nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        by_shape: dict[torch.Size, list[torch.nn.Parameter]] = defaultdict(list)
        for matrix in self.param_groups[0]["params"]:
            by_shape[matrix.shape].append(matrix)
        self.stacks = [(group, torch.zeros(len(group), *shape)) for shape, group in by_shape.items()]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all matrices; those of one shape are computed together."""
        settings = self.param_groups[0]
        for group, velocity in self.stacks:
            gradient = torch.stack([matrix.grad for matrix in group if matrix.grad is not None])
            velocity.lerp_(gradient, 1 - settings["momentum"])
            updates = orthogonalised(gradient.lerp(velocity, settings["momentum"]))
            rows, columns = velocity.shape[1:]
            for matrix, update in zip(group, updates, strict=True):
                matrix.mul_(1 - settings["lr"] * settings["weight_decay"])
                matrix.add_(update, alpha=-settings["lr"] * max(1.0, rows / columns) ** 0.5)


def orthogonalised(stack: torch.Tensor) -> torch.Tensor:
    """Matrices (n, rows, columns) with their singular values brought near 1, by a quintic Newton-Schulz iteration."""
    tall = stack.size(-2) > stack.size(-1)
    found = stack.mT if tall else stack
    found = found / found.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.mT if tall else found
