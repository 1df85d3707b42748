"""What goes into logs: our own sentences, a line each; of libraries only what is wrong.

At DEBUG AWS's clients print requests and answers whole: signatures, session tokens, data keys, manifests. So `PANOVEIL_LOG_LEVEL` sets how
much we say ourselves, and no level makes a library say more than its warnings.
"""

import logging
import re
import sys

OURS = ("panoveil", "services", "console", "simulator", "__main__")
FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class OneLine(logging.Formatter):
    """Writes control characters of a message as escapes: whoever sends a record cannot write log lines of their own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        """Format the line; a traceback below it keeps its lines."""
        record.message = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), record.message)
        return super().formatMessage(record)


def begin(level: str, handler: logging.Handler | None = None, form: str = FORMAT) -> None:
    """Write logs from now on, to standard error unless `handler` goes elsewhere."""
    handler = handler or logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(form))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    say(level)


def say(level: str) -> None:
    """Set how much we say ourselves."""
    for name in OURS:
        logging.getLogger(name).setLevel(level)
