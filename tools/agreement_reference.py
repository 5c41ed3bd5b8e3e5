#!/usr/bin/env python3
"""Kappas of random ratings by scikit-learn and statsmodels: the golden file of crates/annotate.

    python3 tools/agreement_reference.py > crates/annotate/tests/golden/agreement.json

Needs scikit-learn, statsmodels, numpy.
"""

import json
import math
import sys
import warnings

import numpy as np
import sklearn
import statsmodels
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa

warnings.filterwarnings("ignore")


def number(value):
    return None if math.isnan(value) else float(value)


def main():
    rng = np.random.default_rng(0)
    cohen, fleiss = [], []
    for case in range(40):
        categories, items = int(rng.integers(2, 5)), int(rng.integers(2, 60))
        first = rng.integers(0, categories, items)
        noise = rng.random(items) < rng.random()
        second = np.where(noise, rng.integers(0, categories, items), first)
        if case % 8 == 7:  # One category: chance alone gives full agreement.
            first = second = np.ones(items, dtype=int)
        kappa = cohen_kappa_score(first, second)
        cohen.append({"a": first.tolist(), "b": second.tolist(), "kappa": number(kappa)})
    for case in range(40):
        categories, items, raters = int(rng.integers(2, 5)), int(rng.integers(2, 40)), int(rng.integers(2, 7))
        weights = rng.dirichlet(np.full(categories, 0.7), items)
        table = np.array([rng.multinomial(raters, p) for p in weights])
        if case % 8 == 7:
            table = np.zeros((items, categories), dtype=int)
            table[:, 0] = raters
        fleiss.append({"table": table.tolist(), "kappa": number(fleiss_kappa(table, method="fleiss"))})
    made = {"made_by": "tools/agreement_reference.py", "scikit-learn": sklearn.__version__, "statsmodels": statsmodels.__version__}
    json.dump({**made, "cohen": cohen, "fleiss": fleiss}, sys.stdout, separators=(",", ":"))
    print()


main()
