"""A coronary CT phantom: straightened images of an artery, from a structural causal model whose answers are known.

Two levels, both deterministic given the exogenous `Noise`:

    law      noise -> the areas of structures in thirds of the vessel (and age, burden): `independent`, `coupled` or
             `stenosed`
    render   (areas, noise) -> the image in HU and the share of each pixel that each structure covers

A true counterfactual is the same noise rendered with other areas. Data sets of patients have no such truth. The field
of view is 12 mm across (rows) by 36 mm along the vessel (columns; column 0 is proximal).
"""

from segue.phantom.law import COVARIATES, EDGES, STRUCTURES, VARIABLES, areas, solve
from segue.phantom.noise import ACROSS, ALONG, REGIONS, Law, Noise, draw
from segue.phantom.records import noise_of, render_cohort, write_folder
from segue.phantom.render import TrueCounterfactual, counterfactual, render

__all__ = [
    "ACROSS",
    "ALONG",
    "COVARIATES",
    "EDGES",
    "REGIONS",
    "STRUCTURES",
    "VARIABLES",
    "Law",
    "Noise",
    "TrueCounterfactual",
    "areas",
    "counterfactual",
    "draw",
    "noise_of",
    "render",
    "render_cohort",
    "solve",
    "write_folder",
]
