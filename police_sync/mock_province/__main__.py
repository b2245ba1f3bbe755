"""`python -m police_sync.mock_province`."""

import sys

from police_sync.mock_province.main import main

sys.exit(main())
