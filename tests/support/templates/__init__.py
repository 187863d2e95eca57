"""Chat templates of our own writing, with the properties of those that people use, and what must come out of them."""

from templates.blocks import HEAD, LLAMA3, LLAMA3_USER, Shape
from templates.chatml import CHATML_SHAPES
from templates.control import CONTROL_SHAPES
from templates.plain import PLAIN_SHAPES
from templates.refused import REFUSED_SHAPES

__all__ = ["HEAD", "LLAMA3", "LLAMA3_USER", "SHAPES", "Shape"]

SHAPES = CHATML_SHAPES | CONTROL_SHAPES | PLAIN_SHAPES | REFUSED_SHAPES
