"""A metrics.json as the stage `evaluate` writes it, with made-up numbers."""

import random
from typing import Any

VARIABLES = ["lumen@proximal", "lumen@distal", "calcified_plaque@proximal", "calcified_plaque@distal", "age"]
METHODS = ["no_cft", "reg_cft", "seg_cft", "pos_seg_cft", "pos_seg_cft_broadcast", "oracle", "other"]


def fake_metrics() -> dict[str, Any]:
    draw = random.Random(0).uniform

    def entry() -> dict[str, Any]:
        sd = draw(0.05, 1)
        return {
            "error": 3 * sd,
            "error_sd": sd,
            "ci95": [0.9 * sd, 1.1 * sd],
            "off_target_sd": draw(0, 0.3),
            "leakage": draw(0, 0.6),
            "change_outside": draw(0, 0.01),
            "change_inside": draw(0.01, 0.1),
        }

    def method() -> dict[str, Any]:
        variables = {name: entry() for name in VARIABLES}
        entries = list(variables.values())
        keys = [key for key in entries[0] if key != "ci95"]
        mean = {key: sum(one[key] for one in entries) / len(entries) for key in keys}
        checks = {
            "composition": draw(0, 1e-7),
            "reversibility": draw(0, 0.02),
            "realism": {"nelbo": draw(-3, -2)},
        }
        return {"variables": variables, "mean": mean, **checks}

    segmentor = {
        "dice": {"lumen": 0.931, "calcified_plaque": 0.842},
        "error": dict.fromkeys(VARIABLES, 0.5),
        "error_sd": dict.fromkeys(VARIABLES, 0.125),
    }
    return {
        "study": "phantom <test>",
        "n_images": 96,
        "n_subjects": 48,
        "unit": "mm2",
        "variables": VARIABLES,
        "methods": {name: method() for name in METHODS},
        "segmentors": {"guide": segmentor, "judge": segmentor},
        "seconds": 7384.0,
        "commit": "abc1234",
        "command": "segue run studies/phantom.yaml",
    }
