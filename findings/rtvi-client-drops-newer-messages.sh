#!/usr/bin/env bash
# Pipecat's JavaScript client hands two messages of Pipecat's own server on to nobody.
#
# The guess that fails: server and client are kept by the same people and speak a protocol with a
# version. So the newest client hands on what the newest server sends of itself: `user-input`, which
# takes the place of `user-transcription` (deprecated since 1.13, gone in 2.0), and
# `bot-interrupted`. What it does not know would come by `onServerMessage`, or as an error.
#
# What happens: the transport gives both to the client, whose `switch` has no case for them. No
# callback is called, no event emitted. They leave a line only at the log level DEBUG. A page that
# follows the deprecation sees no word of the user, and one that waits for the interruption keeps on
# showing what nobody heard. `user-transcription`, given the same way, arrives.
#
# @pipecat-ai/client-js 1.13.1, pipecat-ai 1.14.0, Node 18 or later. Output seen:
#   user-transcription: onUserTranscript, userTranscript
#   user-input: nothing
#   bot-interrupted: nothing
#
# What to do: derive a client from `PipecatClient`, and look at both in `handleMessage` after the
# base class has.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet 'uv==0.13.9'
venv/bin/uv pip install --quiet --python venv --exclude-newer 2026-11-20 'pipecat-ai==1.14.0'
echo '{"type": "module"}' > package.json
npm install --silent --no-audit --no-fund '@pipecat-ai/client-js@1.13.1'

# What the server sends, made by Pipecat's own models.
cat > sent.py <<'PYTHON'
import json
import sys

from loguru import logger

logger.remove()
from pipecat.processors.frameworks.rtvi import models

said = {"text": "Hola", "user_id": "", "timestamp": "", "final": True}
messages = [
    models.UserTranscriptionMessage(data=said),
    models.UserInputMessage(data={**said, "input_type": "transcription"}),
    models.BotInterruptedMessage(),
]
json.dump([message.model_dump() for message in messages], sys.stdout)
PYTHON
venv/bin/python -W ignore sent.py > sent.json

cat > run.js <<'JS'
import { readFileSync } from "node:fs";

// The client looks there for the browser's name.
globalThis.window = globalThis;
const { LogLevel, PipecatClient, RTVIEvent, Transport } = await import("@pipecat-ai/client-js");

let give;
class Wire extends Transport {
  initialize(options, onMessage) {
    give = onMessage;
  }
}

const told = [];
const callbacks = new Proxy({}, {
  get: (_, name) => () => void told.push(String(name)),
  has: () => true,
});
const client = new PipecatClient({ transport: new Wire(), callbacks });
client.setLogLevel(LogLevel.INFO);
for (const event of Object.values(RTVIEvent)) client.on(event, () => void told.push(event));
for (const level of ["log", "debug", "info", "warn", "error"]) {
  console[level] = (...words) => void told.push(`${level}: ${words.join(" ")}`);
}

const seen = {};
for (const message of JSON.parse(readFileSync("sent.json", "utf-8"))) {
  told.length = 0;
  give({ id: "1", ...message });
  await new Promise((resolve) => setTimeout(resolve, 50));
  seen[message.type] = [...told];
  process.stdout.write(`${message.type}: ${[...new Set(told)].join(", ") || "nothing"}\n`);
}
const silent = ["user-input", "bot-interrupted"].every((type) => seen[type]?.length === 0);
process.exit(seen["user-transcription"].length > 0 && silent ? 0 : 1);
JS

for _ in 1 2; do
  node run.js
done
