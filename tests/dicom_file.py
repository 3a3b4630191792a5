"""DICOM files to read, written by pydicom."""

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

POSITION, ROW, COLUMN = (-30.0, 12.5, 80.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)  # a sagittal slice


def write_dicom(path, stored, **tags):
    """A CT image of the given stored values (row, column), or frames first."""
    signed = tags.get("PixelRepresentation", 0) == 1
    stored = np.asarray(stored, np.int16 if signed else np.uint16)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = pydicom.Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns = stored.shape[-2:]
    if stored.ndim == 3:
        data.NumberOfFrames = len(stored)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.RescaleSlope, data.RescaleIntercept = 2, -1024
    data.PixelSpacing, data.SliceThickness = [0.5, 0.25], 3
    data.ImagePositionPatient, data.ImageOrientationPatient = list(POSITION), [*ROW, *COLUMN]
    for name, value in tags.items():
        setattr(data, name, value)
    data.PixelData = stored.tobytes()
    data.save_as(path, enforce_file_format=True)
    return path
