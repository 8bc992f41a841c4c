class ApplicationError(Exception):
    """The request is understood and refused. The message is shown to the client."""

    def __init__(self, message: str, *, fields: dict[str, list[str]] | None = None):
        super().__init__(message)
        self.message = message
        self.fields = fields
