"""Where, what and how much: partitions, structures and their differentiable measurements."""

from segue.anatomy.axis import AxisPartition, ExtentPartition
from segue.anatomy.label_map import LabelMapPartition
from segue.anatomy.measure import Variables, elsewhere, hard, measure, paint, structure_sums
from segue.anatomy.partition import PARTITIONS, Partition, WholePartition, make_partition, partition_settings
from segue.anatomy.polar import PolarPartition

__all__ = [
    "PARTITIONS",
    "AxisPartition",
    "ExtentPartition",
    "LabelMapPartition",
    "Partition",
    "PolarPartition",
    "Variables",
    "WholePartition",
    "elsewhere",
    "hard",
    "make_partition",
    "measure",
    "paint",
    "partition_settings",
    "structure_sums",
]
