// A page with the example's logic and no looks: tests/frontend/test_call.py drives it in Chromium.

import { RTVIEvent } from "@pipecat-ai/client-js";

import { SonoraCall, type CallState } from "./sonora/call";
import { SonoraClient } from "./sonora/client";
import { asCallError } from "./sonora/errors";
import { localTransport, startLocally } from "./sonora/local-bot";

interface Wish {
  userId: string;
  /** What accessToken(false) and accessToken(true) give. */
  token?: string;
  freshToken?: string;
}

/** Opens a page's call; `states` and `asked` are what the test looks at afterwards. */
function make(wish: Wish) {
  const client = new SonoraClient({ transport: localTransport(), enableMic: true });
  const asked: boolean[] = [];
  const call = new SonoraCall(client, {
    start: startLocally(location.origin, wish.userId),
    accessToken: async (fresh) => {
      asked.push(fresh);
      return (fresh ? wish.freshToken : wish.token) ?? null;
    },
    language: "es",
  });
  const phases: string[] = [];
  const nodes: string[] = [];
  call.subscribe(() => {
    const { phase, node } = call.state();
    if (phases.at(-1) !== phase) phases.push(phase);
    if (node !== null && nodes.at(-1) !== node) nodes.push(node);
  });
  client.on(RTVIEvent.TrackStarted, (track, participant) => {
    if (participant?.local) return;
    const audio = new Audio();
    audio.srcObject = new MediaStream([track]);
    void audio.play();
  });
  return { client, call, asked, phases, nodes };
}

/** The code of the CallError that `work` ends with, or null. */
async function codeOf(work: Promise<unknown>): Promise<string | null> {
  try {
    await work;
    return null;
  } catch (thrown) {
    return asCallError(thrown, "internal").code;
  }
}

const harness = { make, codeOf };

declare global {
  interface Window {
    sonora: typeof harness;
    page: ReturnType<typeof make>;
    state: () => CallState;
  }
}

window.sonora = harness;
