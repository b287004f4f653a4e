"""Where the repository is, and what tests read of it."""

from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SUPPORT: Final = REPOSITORY / "tests" / "support"
BROKEN: Final = REPOSITORY / "tests" / "data" / "broken"
LAYOUTS: Final = REPOSITORY / "tests" / "data" / "layouts"
EARLIER_RELEASE: Final = REPOSITORY / "tests" / "data" / "release-0.1.tar.xz"
MODELS: Final = REPOSITORY / "conf" / "models"
DEMO_TEXTS: Final = REPOSITORY / "demo" / "classifiers"
DEMO_PAGES: Final = REPOSITORY / "demo" / "pages"
DEMO_WARCS: Final = sorted(DEMO_PAGES.glob("*.warc.gz"))
