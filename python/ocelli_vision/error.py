"""The one exception."""


class OcelliError(Exception):
    """What went wrong: a stable ``code`` for programs, and a sentence that says what to do.

    Codes: not-found, bad-checkpoint, wrong-model, bad-input, no-webgpu, gpu, not-finite, worker-lost.
    """

    code: str

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(code, sentence)
        self.code = code

    def __str__(self) -> str:
        return self.args[1]
