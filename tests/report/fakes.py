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
            "reach": 0.25 + 0.1 * sd,
            "change_outside": draw(0, 0.01),
            "change_inside": draw(0.01, 0.1),
            "error_sd_well_posed": 0.8 * sd,
            "moved": {name: draw(0, 0.5) for name in VARIABLES},
        }

    def distance() -> dict[str, Any]:
        parts = ("", "_inside", "_outside")
        ranges = {"mae": (5, 30), "psnr": (20, 40), "ssim": (0.5, 1)}
        found = {f"{key}{part}": draw(*ends) for part in parts for key, ends in ranges.items()}
        return found | {"n_requests": 300, "ci95": [0.9 * found["mae"], 1.1 * found["mae"]]}

    def two_sample() -> dict[str, Any]:
        value = draw(0.1, 2)
        over = {"value": value - 0.1, "ci95": [value - 0.2, value]}
        return {"value": value, "ci95": [value - 0.1, value + 0.1], "over_facts": over}

    def realism() -> dict[str, Any]:
        over = {f"{kind}_over_no_cft": {"value": 0.05, "ci95": [-0.01, 0.11]} for kind in ("frechet", "kernel")}
        return {"nelbo": draw(-3, -2), "frechet": two_sample(), "kernel": two_sample()} | over

    def method(name: str) -> dict[str, Any]:
        variables = {name: entry() for name in VARIABLES}
        entries = list(variables.values())
        keys = [key for key in entries[0] if key not in ("ci95", "moved")]
        mean = {key: sum(one[key] for one in entries) / len(entries) for key in keys}
        checks = {
            "composition": draw(0, 1e-7),
            "reversibility": draw(0, 0.02),
            "realism": realism(),
            "local_realism": {"auc": 0.75, "ci95": [0.7, 0.8], "by_variable": {}},
        }
        if name != "no_cft":
            checks["over_best"] = {"value": 0.25, "ci95": [0.2, 0.3]}
        truth = {} if name == "oracle" else {"truth": distance()}
        return {"variables": variables, "mean": mean, **checks, **truth}

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
        "sd": dict.fromkeys(VARIABLES, 4.0),
        "sd_of_masks": dict.fromkeys(VARIABLES, 5.0),
        "methods": {name: method(name) for name in METHODS},
        "doing_nothing": {
            "variables": {name: {"error": 4.4, "error_sd": 1.1, "ci95": [1.0, 1.2]} for name in VARIABLES},
            "mean": {"error": 4.4, "error_sd": 1.1, "ci95": [1.0, 1.2]},
        },
        "well_posed": 0.75,
        "truth_of_doing_nothing": distance(),
        "realism_of_facts": {kind: {"value": 0.1, "band": [0.05, 0.15]} for kind in ("frechet", "kernel")},
        "segmentors": {"guide": segmentor, "judge": segmentor},
        "seconds": 7384.0,
        "commit": "abc1234",
        "command": "segue run studies/phantom.yaml",
    }
