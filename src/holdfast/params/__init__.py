"""The whole of params.yaml: every room's section put together and checked across rooms."""
