"""preferences: pairs of a preferred and a rejected answer, for preference training such as DPO."""
