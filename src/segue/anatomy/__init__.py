"""Where, what and how much: partitions, structures and their differentiable measurements."""

from segue.anatomy.axis import AxisPartition, ExtentPartition
from segue.anatomy.label_map import LabelMapPartition
from segue.anatomy.measure import elsewhere, hard, measure, paint, structure_sums
from segue.anatomy.measurement import MEASUREMENTS, Measurement, measurement_of, said_value, variable_unit
from segue.anatomy.partition import PARTITIONS, Partition, WholePartition, make_partition, partition_settings
from segue.anatomy.polar import PolarPartition
from segue.anatomy.variables import Variables

__all__ = [
    "MEASUREMENTS",
    "PARTITIONS",
    "AxisPartition",
    "ExtentPartition",
    "LabelMapPartition",
    "Measurement",
    "Partition",
    "PolarPartition",
    "Variables",
    "WholePartition",
    "elsewhere",
    "hard",
    "make_partition",
    "measure",
    "measurement_of",
    "paint",
    "partition_settings",
    "said_value",
    "structure_sums",
    "variable_unit",
]
