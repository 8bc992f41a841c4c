from typing import IO

from rest_framework import parsers
from rest_framework.exceptions import ParseError


class JSONParser(parsers.JSONParser):
    """The library's own, for bodies that are made to upset it."""

    def parse(self, stream: IO, media_type: str | None = None, parser_context: dict | None = None):
        try:
            # JSON is UTF-8, whatever the client calls it.
            return super().parse(stream, media_type, {**parser_context, "encoding": "utf-8"})
        except RecursionError:
            raise ParseError("JSON parse error - nested too deeply") from None
        except ParseError as error:
            # Python's own words for a number of thousands of digits are for programmers.
            if "set_int_max_str_digits" in str(error.detail):
                raise ParseError("JSON parse error - number too long") from None
            raise
