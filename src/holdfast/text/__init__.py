"""Texts of any language: words and n-grams, language, overlap with benchmarks."""
