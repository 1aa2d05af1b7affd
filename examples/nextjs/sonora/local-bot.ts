/** A bot on this machine, started with `uv run bot.py`: for development, without Pipecat Cloud. */

import { SmallWebRTCTransport, WavMediaManager } from "@pipecat-ai/small-webrtc-transport";

import { asCallError } from "./errors";
import type { CallOptions } from "./call";

/** The transport to it. Its default media manager would load code from the internet. */
export function localTransport(): SmallWebRTCTransport {
  return new SmallWebRTCTransport({ mediaManager: new WavMediaManager() });
}

/** Starts a call with it, as `user_id`, whom it believes unless it asks for tokens. */
export function startLocally(botUrl: string, userId: string): CallOptions["start"] {
  return async (conversation) => {
    const response = await fetch(`${botUrl}/start`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ transport: "webrtc", body: { ...conversation, user_id: userId } }),
    });
    if (!response.ok) throw asCallError(await response.json().catch(() => null), "start_failed");
    const { sessionId } = (await response.json()) as { sessionId: string };
    return { webrtcRequestParams: { endpoint: `${botUrl}/sessions/${sessionId}/api/offer` } };
  };
}
