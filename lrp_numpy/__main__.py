"""python -m lrp_numpy: see cli/main.py."""
import sys

from lrp_numpy.cli.main import main

sys.exit(main())
