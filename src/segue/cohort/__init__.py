"""Images, masks and covariates: from folders to a store on disk, split by subject."""

from segue.cohort.folder import list_folder, read_folder
from segue.cohort.folder_settings import FolderSettings
from segue.cohort.io import read_image
from segue.cohort.record import Record
from segue.cohort.resample import area_resample
from segue.cohort.split import Fold, assign_splits
from segue.cohort.store import Store
from segue.cohort.write_store import write_store

__all__ = [
    "Fold",
    "FolderSettings",
    "Record",
    "Store",
    "area_resample",
    "assign_splits",
    "list_folder",
    "read_folder",
    "read_image",
    "write_store",
]
