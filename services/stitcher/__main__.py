"""`python -m services.stitcher`."""

from panoveil.runtime import run
from services.stitcher.app import main
from services.stitcher.settings import StitcherSettings

if __name__ == "__main__":
    settings = StitcherSettings()
    run(main(settings), settings)
