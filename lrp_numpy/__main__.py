"""python -m lrp_numpy: see cli.py."""
import sys

from lrp_numpy.cli.parser import main

sys.exit(main())
