"""`panoveil …`, `python -m console …`."""

import sys

from console.cli import app
from panoveil.contracts.errors import PanoveilError


def main() -> None:
    """Run the command; an error of ours becomes one sentence and its exit code."""
    try:
        app()
    except PanoveilError as error:
        print(f"panoveil: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
