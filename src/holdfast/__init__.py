"""Holdfast: a make-style build system for rehearsal datasets."""
