"""`python -m facelab`."""

from facelab.cli import main

if __name__ == "__main__":
    main()
