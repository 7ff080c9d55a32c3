"""The one exception that a user is meant to read: what happened, and what to do about it."""


class UserError(Exception):
    """A failure that the user can mend; the command line prints it as `error: what` and `hint: hint`.

    Neither text may hold a key, a whole prompt or a traceback.

    Example: UserError("no tokenizer named 'cl200k'", hint="try gpt2, cl100k, o200k or a path")
    """

    exit_code = 1

    def __init__(self, what: str, *, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


class UsageError(UserError):
    """The command was put wrongly (an option's value, an experiment file): exit code 2."""

    exit_code = 2
