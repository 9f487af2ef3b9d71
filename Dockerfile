# FaceLab in a container, on a CPU or, with the NVIDIA container runtime (docker run --gpus all), on a GPU:
# the same torch wheel serves both.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860

RUN useradd --create-home --uid 1000 facelab
WORKDIR /home/facelab/app

COPY requirements.txt .
RUN pip install -r requirements.txt

COPY --chown=facelab app.py ./
COPY --chown=facelab facelab facelab
COPY --chown=facelab assets assets
COPY --chown=facelab checkpoints checkpoints

USER facelab
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=4)"
CMD ["python", "app.py"]
