"""`python -m apps.scene_explorer [SCENE]`."""

import sys

from apps.scene_explorer.cli import main

sys.exit(main())
