"""`python -m services.anonymizer`."""

from panoveil.runtime import run
from services.anonymizer.app import main
from services.anonymizer.settings import AnonymizerSettings

if __name__ == "__main__":
    settings = AnonymizerSettings()
    run(main(settings), settings)
