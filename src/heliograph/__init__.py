"""Heliograph: a self-hosted messaging platform that speaks the ClickSend REST API v3."""

__version__ = "0.1.0"
