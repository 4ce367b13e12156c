"""Sends notifications by HTTP."""

from modelops.adapters.notifications.http_sender import HttpSender

__all__ = ["HttpSender"]
