"""Read by every Python process of an environment when it starts (`envs/in-env` puts this folder on its path).

Imports of torch, vLLM or Axolotl make millions of objects that stay. With Python's default thresholds the collector
looks for garbage among them again and again: a fifth of the time that such an import takes.
"""

import gc

gc.set_threshold(100_000, 50, 100)
