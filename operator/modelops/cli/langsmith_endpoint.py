"""Where LangSmith is, if nothing else is said."""

from typing import Final

DEFAULT_ENDPOINT: Final = "https://api.smith.langchain.com"
