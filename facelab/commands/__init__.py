"""The commands of `python -m facelab` that are not in cli.py, one file a subject."""
