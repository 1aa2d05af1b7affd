import type {
  StoredMessage,
  StoredSession,
  StoredStep,
  StoredToolCall,
  Transcript,
} from "../api";
import type { ModelRequest } from "./requests";
import { type CallState, NO_CALL, type TurnLatency } from "./model";
import { type Turn, turnsOf } from "./turns";

/*
 * What is kept of a conversation, as what happened in it.
 */

/** One thing that happened. */
export type Happening =
  | { kind: "call"; at: string; number: number; session: StoredSession }
  | { kind: "step"; at: string; step: StoredStep }
  | { kind: "tool"; at: string; use: StoredToolCall }
  | { kind: "turn"; at: string; number: number; message: Turn }
  | { kind: "request"; at: string; request: ModelRequest };

/** At one moment: a call begins before a step of it, which comes before what was said then. */
const ORDER = ["call", "step", "turn", "request", "tool"];

/** Everything that happened, in the order in which it did. */
export function happenings(transcript: Transcript, requests: ModelRequest[] = []): Happening[] {
  const all: Happening[] = [
    ...transcript.sessions.map(
      (session, index): Happening => ({
        kind: "call",
        at: session.started_at,
        number: index + 1,
        session,
      }),
    ),
    ...transcript.transitions.map((step): Happening => ({ kind: "step", at: step.created_at, step })),
    ...turnsOf(transcript).map(
      (message, index): Happening => ({
        kind: "turn",
        at: message.created_at,
        number: index + 1,
        message,
      }),
    ),
    ...requests.map((request): Happening => ({ kind: "request", at: request.at, request })),
    ...transcript.tool_calls.map((use): Happening => ({ kind: "tool", at: use.started_at, use })),
  ];
  // Turns and steps keep their own order, which the store knows.
  return all.sort(
    (a, b) =>
      Date.parse(a.at) - Date.parse(b.at) ||
      (a.kind === b.kind ? 0 : ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind)),
  );
}

/** How long a turn was waited for; null where that was not measured. */
export function latencyOf(message: StoredMessage): TurnLatency | null {
  const kept = message.metrics?.latency;
  if (typeof kept?.total_ms !== "number") return null;
  return { totalMs: kept.total_ms, partsMs: kept.parts_ms ?? {} };
}

/** The state that a conversation left the page's panels in, as it was at a turn or at its end. */
export function replayed(transcript: Transcript, turn: number | null): CallState {
  const turns = turnsOf(transcript);
  const at = turn === null ? undefined : turns[turn - 1];
  const until = at ? Date.parse(at.created_at) : Number.POSITIVE_INFINITY;
  const steps = transcript.transitions.filter((step) => Date.parse(step.created_at) <= until);
  return {
    ...NO_CALL,
    conversationId: transcript.conversation.id,
    node: at?.node ?? steps.at(-1)?.to_node ?? null,
    path: steps.map((step) => ({
      from: step.from_node,
      to: step.to_node,
      trigger: step.trigger,
      at: Date.parse(step.created_at),
    })),
    latencies: turns.flatMap((message) => latencyOf(message) ?? []),
  };
}

/** Whether a call of it may go on: one without an end, that began no longer ago than calls last. */
export function goesOn(transcript: Transcript): boolean {
  const lately = Date.now() - LONGEST_CALL_MS;
  return transcript.sessions.some(
    (session) => !session.ended_at && Date.parse(session.started_at) > lately,
  );
}

const LONGEST_CALL_MS = 4 * 3_600_000;
