// Runs the example's route once: tests/frontend/test_start.py looks at what it answers.

import { POST } from "./app/api/sonora/start/route";

const CLOUD = "https://api.pipecat.daily.co";
const { TEST_BODY = "", TEST_CLOUD = "" } = process.env;
const reach = globalThis.fetch;

globalThis.fetch = (target, init) =>
  reach(typeof target === "string" ? target.replace(CLOUD, TEST_CLOUD) : target, init);

async function main() {
  const request = new Request("http://localhost/api/sonora/start", {
    method: "POST",
    body: TEST_BODY,
  });
  const response = await POST(request);
  console.log(JSON.stringify({ status: response.status, body: await response.json() }));
}

void main();
