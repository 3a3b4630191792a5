"""The one exception that a user's input can raise on purpose."""


class InputError(ValueError):
    """Bad input, said in one line: what was given, where, and how to mend it.

    The command line prints the message alone and exits with code 2; the Python interface raises it as it is.
    """
