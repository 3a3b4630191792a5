"""The phantom as a public benchmark: fixed images, fixed requests, known answers, one row for any method.

    task    the images, what is asked of each, the true counterfactuals, and hashes of both
    entry   what may enter: a `Method`, a model, or a folder of images
    row     the numbers of one entry
    board   rows as a table and as a file
"""

from segue.leaderboard.entry import Entry, of_baseline, of_files, of_model
from segue.leaderboard.row import benchmark
from segue.leaderboard.task import Task, fixed_task

__all__ = ["Entry", "Task", "benchmark", "fixed_task", "of_baseline", "of_files", "of_model"]
