"""A vessel straightened along its centreline, and an edit of it brought back into the volume.

    points     CSV, VTK, a mask's skeleton -> `Centreline`: points in mm, the proximal end first
    curve      points -> c(s), by arc length
    frame      c(s) -> two normals that do not twist about it (rotation-minimising)
    tube       (u, v, s) -> mm, and back
    straightened   a volume read along the tube; an edit written back along it
"""

from segue.straightening.centreline import Centreline, read_centreline
from segue.straightening.straightened import Straightened, straighten
from segue.straightening.tube import VesselSection

__all__ = ["Centreline", "Straightened", "VesselSection", "read_centreline", "straighten"]
