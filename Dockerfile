# The image that Pipecat Cloud runs. scripts/image builds it under the name in pcc-deploy.toml.
#
# The base image brings the server that calls `bot` in bot.py, and how it is started. Its tags are
# `latest`, `latest-pyN` and `X.Y.Z-pyN`: for a build that can be repeated, name a version with
#   scripts/image --build-arg BASE=dailyco/pipecat-base:X.Y.Z-py3.12
ARG BASE=dailyco/pipecat-base:latest-py3.12
FROM ${BASE}

WORKDIR /app

# Into the base image's own environment, which keeps what its server needs (`uv sync` would take
# that out). What both need gets the version of the lock; the check fails the build where the
# server cannot live with it.
COPY requirements.lock ./
RUN uv pip install --python /app/.venv --no-cache --compile-bytecode \
        --require-hashes -r requirements.lock \
    && uv pip check --python /app/.venv

COPY flows ./flows
COPY sonora_app ./sonora_app
COPY bot.py ./
RUN /app/.venv/bin/python -m compileall -q flows sonora_app bot.py

# A deployment: a missing key stops the start, and no stand-in runs. Below INFO Pipecat logs what
# people say. Keys come from the agent's secret set, STUN and TURN servers from the platform. When the
# platform stops an instance it waits for its call: the longest that one takes is the last line.
ENV ENV=production \
    PIPECAT_LOG_LEVEL=INFO \
    LOGURU_DIAGNOSE=NO \
    SONORA_HANDOVER_SECS=1860
