from collections.abc import Mapping
from typing import IO, Any

from rest_framework import parsers
from rest_framework.exceptions import ParseError


class JSONParser(parsers.JSONParser):
    """The library's own, for bodies that are made to upset it."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        try:
            # JSON is UTF-8, whatever the client calls it.
            context = {**(parser_context or {}), "encoding": "utf-8"}
            return super().parse(stream, media_type, context)
        except RecursionError:
            raise ParseError("JSON parse error - nested too deeply") from None
        except ParseError as error:
            # Python's own words for a number of thousands of digits are for programmers.
            if "set_int_max_str_digits" in str(error.detail):
                raise ParseError("JSON parse error - number too long") from None
            raise
