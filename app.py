"""Run FaceLab's page: `python app.py`, then open the address it prints."""

from __future__ import annotations

import argparse
import os
import sys
import threading


def main() -> None:
    """Flags -> Studio -> page -> launch; the models warm up once the page answers."""
    parser = argparse.ArgumentParser(description="FaceLab: embed a portrait into the latent space of a face generator.")
    parser.add_argument("--host", help="address to listen on (GRADIO_SERVER_NAME, else 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on (GRADIO_SERVER_PORT, else the first free one from 7860)")
    parser.add_argument("--share", action="store_true", help="also open a public link through Gradio's servers")
    parser.add_argument("--model", default="faces128", help="name of the model, as in checkpoints/ (faces128)")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"], help="where the models run")
    flags = parser.parse_args()
    for source, port in (("--port", flags.port), ("GRADIO_SERVER_PORT", os.environ.get("GRADIO_SERVER_PORT"))):
        if port is not None and not (port.isdecimal() and 0 < int(port) < 2**16):
            print(f"app.py: {source} must be a number from 1 to 65535, not {port[:20]!r}", file=sys.stderr)
            sys.exit(2)

    from facelab.errors import FaceLabError  # only now: Gradio reads its variables when it is imported
    from facelab.page.backstage import who_asks
    from facelab.page.page import build_page, launch_options
    from facelab.studio import Studio
    from facelab.worker import Worker

    host = flags.host or os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if "SPACE_ID" in os.environ else None)
    try:
        studio, worker = Studio(flags.model, device=flags.device), Worker(visitor=who_asks)
        page = build_page(studio, worker=worker)
        where = {"server_name": host, "server_port": flags.port and int(flags.port), "share": flags.share}
        page.launch(**where, prevent_thread_lock=True, **launch_options())
    except (FaceLabError, OSError) as error:
        sys.exit(f"app.py: {error}")
    threading.Thread(target=worker.run, args=(studio.warm_up,), daemon=True).start()
    page.block_thread()


if __name__ == "__main__":
    main()
