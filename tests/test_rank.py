"""The mini-benchmark (`make rank`): trains four tiny studies; fails when the order of the methods regresses."""

import pytest

from benchmarks.rank import as_table, cells, means
