"""`python app.py`: what cannot be is one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

APP = Path(__file__).parents[1] / "app.py"


@pytest.mark.parametrize(
    ("flags", "variable", "words"),
    [
        (["--port", "99999"], None, "--port must be a number from 1 to 65535, not '99999'"),
        (["--port", "-1"], None, "--port must be"),
        ([], "abc", "GRADIO_SERVER_PORT must be a number from 1 to 65535, not 'abc'"),
        (["--port", "7861"], "", "GRADIO_SERVER_PORT must be"),
    ],
)
def test_a_port_that_is_none_is_one_line(flags, variable, words):
    environment = os.environ if variable is None else os.environ | {"GRADIO_SERVER_PORT": variable}
    command = [sys.executable, str(APP), *flags]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert run.returncode == 2 and not run.stdout and words in run.stderr and run.stderr.count("\n") == 1
