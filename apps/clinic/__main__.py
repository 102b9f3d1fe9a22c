"""`python -m apps.clinic`."""

import sys

from apps.clinic.cli import main

sys.exit(main())
