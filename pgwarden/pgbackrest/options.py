"""What pgBackRest options a user may set; see pgwarden.api.options, where admission needs them."""

from pgwarden.api.option_table import Command
from pgwarden.api.options import ParsedOptions, parse_options

__all__ = ["Command", "ParsedOptions", "parse_options"]
