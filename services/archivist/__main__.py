"""`python -m services.archivist`."""

from panoveil.runtime import run
from services.archivist.app import main
from services.archivist.settings import ArchivistSettings

if __name__ == "__main__":
    settings = ArchivistSettings()
    run(main(settings), settings)
