/** Starts a session on Pipecat Cloud. Server only: it holds the key. */

import { CallError } from "./errors";
import type { SetConversationId } from "./protocol";

export interface Agent {
  name: string;
  apiKey: string;
}

/** Where the page finds the bot: what DailyTransport connects with. */
export interface DailyConnection {
  url: string;
  token: string;
}

const BASE_URL = "https://api.pipecat.daily.co/v1/public";

/** Without a warm instance, the answer waits for one to start. */
const START_MS = 55_000;

/**
 * Start a session in a Daily room of its own.
 *
 * `body` is what bot.py gets: whose conversation it is, proven by the user's access token.
 * Throws a CallError with `at_capacity` or `start_failed`.
 */
export async function startSession(agent: Agent, body: SetConversationId): Promise<DailyConnection> {
  let response: Response;
  try {
    response = await fetch(`${BASE_URL}/${encodeURIComponent(agent.name)}/start`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${agent.apiKey}`,
        "Content-Type": "application/json",
      },
      body: JSON.stringify({
        createDailyRoom: true,
        dailyRoomProperties: { start_video_off: true },
        body,
      }),
      signal: AbortSignal.timeout(START_MS),
    });
  } catch {
    throw new CallError("start_failed", "Pipecat Cloud cannot be reached.");
  }
  if (response.status === 429) {
    throw new CallError("at_capacity", "All lines are busy. Try again in a moment.");
  }
  if (!response.ok) {
    throw new CallError("start_failed", `Pipecat Cloud answered with ${response.status}.`);
  }
  const started = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  if (typeof started.dailyRoom !== "string" || typeof started.dailyToken !== "string") {
    throw new CallError("start_failed", "Pipecat Cloud gave no room.");
  }
  return { url: started.dailyRoom, token: started.dailyToken };
}
