"""Run FaceLab's page: `python app.py`, then open the address it prints."""

from __future__ import annotations

import argparse
import os
import threading

from facelab.page.page import build_page, launch_options
from facelab.studio import Studio
from facelab.worker import Worker


def main() -> None:
    """Flags -> Studio -> page -> launch; the models warm up once the page answers."""
    parser = argparse.ArgumentParser(description="FaceLab: embed a portrait into the latent space of a face generator.")
    parser.add_argument(
        "--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), help="address to listen on"
    )
    parser.add_argument(
        "--port", type=int, default=int(os.environ.get("GRADIO_SERVER_PORT", 7860)), help="port to listen on"
    )
    parser.add_argument("--share", action="store_true", help="also open a public link through Gradio's servers")
    parser.add_argument("--model", default="faces128", help="name of the model, as in checkpoints/")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"], help="where the models run")
    flags = parser.parse_args()
    studio, worker = Studio(flags.model, device=flags.device), Worker()
    page = build_page(studio, worker=worker)
    page.queue(default_concurrency_limit=None).launch(
        server_name=flags.host, server_port=flags.port, share=flags.share, prevent_thread_lock=True, **launch_options()
    )
    threading.Thread(target=worker.run, args=(studio.warm_up,), daemon=True).start()
    page.block_thread()


if __name__ == "__main__":
    main()
