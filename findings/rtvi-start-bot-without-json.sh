#!/usr/bin/env bash
# Pipecat's JavaScript client tells a page the wrong thing when the start of a bot fails on the way.
#
# The guess that fails: `startBot` rejects with a `StartBotError`, whose `status` is the answer's, and
# `onError` is called, so that a page tells "you are not signed in" from "the server is broken" from
# "you are offline" by it. Where there was no answer, `status`, which may be undefined by its type, is
# undefined. After a failed start the client is disconnected again.
#
# What happens: an error whose body is JSON comes as guessed. The page of a proxy (502 with HTML) or an
# empty body rejects with the `SyntaxError` of the JSON parser: the status is lost, `onError` is not
# called, and the client, which disconnects otherwise, stays "authenticating" for good. Where nobody
# answers at all, the error has the status 500, which no server ever sent.
#
# @pipecat-ai/client-js 1.13.1, Node 18 or later. Output seen:
#   401 with JSON: StartBotError, status 401, onError called, disconnected
#   502 with a page: SyntaxError, status undefined, onError not called, authenticating
#   no answer: StartBotError, status 500, onError called, disconnected
#
# What to do: ask for the session with `fetch`, and give `connect` what it needs.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"type": "module"}' > package.json
npm install --silent --no-audit --no-fund '@pipecat-ai/client-js@1.13.1'

cat > run.js <<'JS'
import { createServer } from "node:http";

// The client looks there for the browser's name.
globalThis.window = globalThis;
const { LogLevel, PipecatClient, StartBotError, Transport } = await import("@pipecat-ai/client-js");

class Wire extends Transport {
  initialize() {}
  async initDevices() {}
  async _disconnect() {
    this.state = "disconnected";
  }
  get state() {
    return this._state;
  }
  set state(state) {
    this._state = state;
  }
}

const server = createServer((request, answer) => {
  if (request.url === "/json") {
    answer.writeHead(401, { "Content-Type": "application/json" });
    answer.end(JSON.stringify({ info: "Sign in first." }));
  } else {
    answer.writeHead(502, { "Content-Type": "text/html" });
    answer.end("<html><body>Bad gateway</body></html>");
  }
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const base = `http://127.0.0.1:${server.address().port}`;

async function started(endpoint) {
  let told = false;
  const client = new PipecatClient({
    transport: new Wire(),
    callbacks: { onError: () => void (told = true) },
  });
  client.setLogLevel(LogLevel.NONE);
  try {
    await client.startBot({ endpoint });
    return "started";
  } catch (error) {
    // A fatal error has the client disconnect, which takes a moment.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const name = error instanceof StartBotError ? "StartBotError" : error.constructor.name;
    return `${name}, status ${error.status}, onError ${told ? "called" : "not called"}, ${client.state}`;
  }
}

const seen = [await started(`${base}/json`), await started(`${base}/page`)];
server.close();
server.closeAllConnections();
seen.push(await started(`${base}/json`));
const cases = ["401 with JSON", "502 with a page", "no answer"];
cases.forEach((name, place) => console.log(`${name}: ${seen[place]}`));
const expected = [
  "StartBotError, status 401, onError called, disconnected",
  "SyntaxError, status undefined, onError not called, authenticating",
  "StartBotError, status 500, onError called, disconnected",
];
process.exit(expected.every((words, place) => seen[place] === words) ? 0 : 1);
JS

for _ in 1 2; do
  node run.js
done
