"""python -m triton_models.plate.training train | export | evaluate."""

from .cli import main

raise SystemExit(main())
