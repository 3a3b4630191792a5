"""The exceptions that are raised on purpose, for the user to read."""


class InputError(ValueError):
    """Bad input, said in one line: what was given, where, and how to mend it.

    The command line prints the message alone and exits with code 2; the Python interface raises it as it is.
    """


class TrainingDiverged(RuntimeError):
    """Too many steps in a row had a non-finite or exploding gradient; the message names the worst term."""
