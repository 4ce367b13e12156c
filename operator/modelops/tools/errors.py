"""Why a tool does not do what it was asked. The messages say what to do; they go to people and to models."""

from __future__ import annotations


class ToolRefused(Exception):
    """The request is wrong, or cannot be carried out as it is. Nothing was changed."""


class QuoteRefused(ToolRefused):
    """The quote is unknown, has expired, or is for something else. Nothing was spent."""
