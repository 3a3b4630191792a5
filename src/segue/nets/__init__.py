"""Networks: plain modules of torch, some of MONAI's parts."""

from segue.lean_imports import import_networks

import_networks()
