"""`snakemake --lint`, less what does not apply here: python tests/lint_rules.py (exits 1 when anything is left).

Environments are built by envs/in-env, which the linter does not know; and a rule's small key functions stand beside it,
so that a rule file can be read alone.
"""

import os
import re
import subprocess
import sys

ACCEPTED = {
    "Specify a conda environment or container for each rule.",
    "Mixed rules and functions in same snakefile.",
    "Param base is a prefix of input or output file but hardcoded",
}

listing = os.environ | {"HOLDFAST_LISTING": "1"}  # the rules alone count, not what is stale: no DVC
done = subprocess.run(["snakemake", "--lint"], env=listing, capture_output=True, text=True)
text = done.stdout + done.stderr
found = re.findall(r"^    \* (.+?):?$", text, re.MULTILINE)
if not found:  # those above are always there
    sys.exit(f"snakemake --lint failed:\n{text}")
left = [title for title in found if title not in ACCEPTED]
print(*([text] if left else []), f"snakemake --lint: {len(left)} to mend", sep="\n")
sys.exit(bool(left))
