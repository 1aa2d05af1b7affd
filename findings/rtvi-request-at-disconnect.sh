#!/usr/bin/env bash
# A request of Pipecat's JavaScript client that is under way when it disconnects is never settled.
#
# The guess that fails: `await client.sendClientRequest(...)` ends: with the answer, with an error
# after its time-out (10 s by default), or with one at once where the connection ends. So `catch` gets
# an Error, and `finally` runs.
#
# What happens: `disconnect()` stops the clock by which requests time out and forgets those that wait,
# without a word to them. The promise stays pending for good, and with it whatever awaits it: a button that
# is disabled meanwhile, a spinner, a page that waits for the answer before it leaves. Where the
# connection stays and no answer comes, what `catch` gets is a message of the protocol and no Error.
#
# @pipecat-ai/client-js 1.13.1, Node 18 or later. Output seen, 14 s after each request:
#   answered: answered with 7
#   not answered: rejected with no Error
#   the page disconnects: pending
#
# What to do: race each request with a promise that one's own code rejects on disconnecting.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"type": "module"}' > package.json
npm install --silent --no-audit --no-fund '@pipecat-ai/client-js@1.13.1'

cat > run.js <<'JS'
// The client looks there for the browser's name.
globalThis.window = globalThis;
const { LogLevel, PipecatClient, Transport } = await import("@pipecat-ai/client-js");

const WAIT_SECS = 14;

class Wire extends Transport {
  initialize(options, give) {
    this.give = give;
    this.tell = options.callbacks.onTransportStateChanged;
  }
  async initDevices() {}
  async _connect() {
    this.state = "connected";
  }
  _validateConnectionParams(params) {
    return params;
  }
  async _disconnect() {
    this.state = "disconnected";
  }
  sendReadyMessage() {
    this.state = "ready";
    this.give({ label: "rtvi-ai", type: "bot-ready", id: "1", data: { version: "1.0.0" } });
  }
  sendMessage(message) {
    if (message.data?.t !== "answered") return;
    const data = { t: "answered", d: 7 };
    setTimeout(() => this.give({ label: "rtvi-ai", type: "server-response", id: message.id, data }));
  }
  get state() {
    return this._state;
  }
  set state(state) {
    this._state = state;
    this.tell?.(state);
  }
}

/** What becomes of a request, after longer than requests may take. */
async function settled(what, then) {
  const client = new PipecatClient({ transport: new Wire() });
  client.setLogLevel(LogLevel.NONE);
  await client.initDevices();
  await client.connect({});
  let fate = "pending";
  client.sendClientRequest(what, {}).then(
    (value) => (fate = `answered with ${value}`),
    (error) => (fate = `rejected with ${error instanceof Error ? "an Error" : "no Error"}`),
  );
  await then?.(client);
  await new Promise((resolve) => setTimeout(resolve, WAIT_SECS * 1000));
  return fate;
}

const cases = {
  "answered": settled("answered"),
  "not answered": settled("ignored"),
  "the page disconnects": settled("ignored", (client) => client.disconnect()),
};
const seen = [];
for (const [name, fate] of Object.entries(cases)) {
  seen.push(await fate);
  console.log(`${name}: ${seen.at(-1)}`);
}
const expected = ["answered with 7", "rejected with no Error", "pending"];
process.exit(expected.every((fate, place) => seen[place] === fate) ? 0 : 1);
JS

for _ in 1 2; do
  node run.js
done
