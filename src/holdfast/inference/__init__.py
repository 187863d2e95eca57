"""Asking models: requests and their keys, the journal of answers, the engines."""
