"""The chain, one package per room; no room imports another."""
