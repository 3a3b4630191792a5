"""Image files: the formats that are read, decoding onto a study's grid, and writing."""

from segue.cohort.io.image_file import (
    PlacedImage,
    decode_image,
    decode_labels,
    place_image,
    place_pixels,
    read_image,
    stamp,
    to_grid,
)
from segue.cohort.io.reader import Pixels, Reader
from segue.cohort.io.readers import (
    READERS,
    format_names,
    image_files,
    passed_over,
    reader_of,
    split_suffix,
    suffix_by_content,
)

__all__ = [
    "READERS",
    "Pixels",
    "PlacedImage",
    "Reader",
    "decode_image",
    "decode_labels",
    "format_names",
    "image_files",
    "passed_over",
    "place_image",
    "place_pixels",
    "read_image",
    "reader_of",
    "split_suffix",
    "stamp",
    "suffix_by_content",
    "to_grid",
]
