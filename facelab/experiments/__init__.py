"""Papers' experiments, reproduced on our own model: `python -m facelab experiments NAME`."""
