"""`python -m services.ingest`."""

from panoveil.runtime import run
from services.ingest.app import main
from services.ingest.settings import IngestSettings

if __name__ == "__main__":
    settings = IngestSettings()
    run(main(settings), settings)
