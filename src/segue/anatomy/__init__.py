"""Where, what and how much: partitions, structures and their differentiable measurements."""

from segue.anatomy.label_map import LabelMapPartition
from segue.anatomy.measure import Variables, measure, paint, structure_sums
from segue.anatomy.partition import AxisPartition, ExtentPartition, Partition, WholePartition, make_partition

__all__ = [
    "AxisPartition",
    "ExtentPartition",
    "LabelMapPartition",
    "Partition",
    "Variables",
    "WholePartition",
    "make_partition",
    "measure",
    "paint",
    "structure_sums",
]
