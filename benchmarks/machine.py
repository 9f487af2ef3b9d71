"""What a figure was measured on."""

from facelab.evaluation.machine import machine

__all__ = ["machine"]
