import type { MicrophoneProblem } from "../call/microphone";
import type { Language, SonoraEvent } from "../call/protocol";
import {
  type CallState,
  type Logged,
  NO_CALL,
  type Phase,
  type Problem,
  type SentFile,
} from "./model";
import { recorded } from "./recorded";
import {
  brokenOff,
  botCutOff,
  botSaid,
  languageChanged,
  lookedUp,
  spokenIn,
  stored,
  toolUsed,
  typedRefused,
  userAcknowledged,
  userSaid,
  userTurn,
  userTyped,
} from "./transcript";

/** What can happen to a call. */
export type Happened =
  | { what: "started"; conversationId: string | null }
  | { what: "microphone"; problem: MicrophoneProblem | null }
  | { what: "muted"; muted: boolean }
  | { what: "phase"; phase: Phase }
  | {
      what: "opened";
      conversationId: string;
      sessionId: string;
      resumed: boolean;
      putBack: boolean;
      recording: boolean;
      language: Language;
    }
  | { what: "reconnecting" }
  | { what: "failed"; problem: Problem }
  | { what: "noticed"; problem: Problem }
  | { what: "left"; reason: "hung_up" | "lost" }
  | { what: "summed-up"; conversationId: string; summary: string }
  | { what: "typed"; key: number; text: string; files?: SentFile[] }
  | { what: "camera"; camera: CallState["camera"] }
  | { what: "refused"; key: number; reason: string }
  | { what: "dismissed" }
  | { what: "cleared" }
  | { what: "message"; out: boolean; type: string; data: unknown; at: number };

/** The longest log that is kept: that of a long call, without filling the memory. */
const LOG_LENGTH = 4000;

/** The state of the call after something happened. */
export function reduce(state: CallState, event: Happened): CallState {
  switch (event.what) {
    case "started":
      return {
        ...(goesOn(state, event.conversationId) ? brokenOff(state) : NO_CALL),
        ...BEGINNING,
        conversationId: event.conversationId,
      };
    case "microphone":
      return {
        ...state,
        microphone: event.problem ? "off" : "on",
        microphoneProblem: event.problem,
      };
    case "muted":
      return { ...state, microphone: event.muted ? "muted" : "on" };
    case "phase":
      return { ...state, phase: event.phase };
    case "opened":
      return {
        ...spokenIn(state, event.language),
        phase: "live",
        conversationId: event.conversationId,
        sessionId: event.sessionId,
        resumed: event.resumed,
        putBack: event.putBack,
        recording: event.recording,
        ended: null,
      };
    case "reconnecting":
      return { ...brokenOff(quiet(state)), phase: "reconnecting", notice: null, recording: false };
    case "failed":
      return { ...quiet(state), phase: "failed", problem: event.problem };
    case "noticed":
      return { ...state, notice: event.problem };
    case "left":
      return left(state, event.reason);
    case "summed-up":
      return state.conversationId === event.conversationId && state.ended
        ? { ...state, ended: { ...state.ended, summary: event.summary } }
        : state;
    case "typed":
      return {
        ...userTyped(state, event.key, event.text, event.files ?? []),
        thinking: true,
        notice: null,
      };
    case "camera":
      return { ...state, camera: event.camera };
    case "refused":
      return { ...typedRefused(state, event.key, event.reason), thinking: false };
    case "dismissed":
      return { ...state, notice: null };
    case "cleared":
      return NO_CALL;
    case "message": {
      const next = logged(state, event);
      return event.out ? next : received(next, event.type, (event.data ?? {}) as Fields, event.at);
    }
  }
}

/** Of a call that begins, what no earlier one of the conversation says. */
const BEGINNING = {
  phase: "microphone" as const,
  problem: null,
  notice: null,
  sessionId: null,
  microphone: "off" as const,
  microphoneProblem: null,
  putBack: false,
  recording: false,
  language: null,
  storage: null,
  ended: null,
};

/** Whether a call goes on with the conversation that is shown. */
function goesOn(state: CallState, conversationId: string | null): boolean {
  return conversationId !== null && conversationId === state.conversationId;
}

type Fields = Record<string, unknown>;

function logged(state: CallState, event: Omit<Logged, "key">): CallState {
  const { at, out, type, data } = event;
  const log = [...state.log, { key: state.nextKey, at, out, type, data }].slice(-LOG_LENGTH);
  return { ...state, log, nextKey: state.nextKey + 1 };
}

function left(state: CallState, reason: "hung_up" | "lost"): CallState {
  if (state.phase === "failed" || state.phase === "ended" || state.phase === "idle") return state;
  const over = { ...quiet(state), microphone: "off" as const };
  if (reason === "lost" && !state.ended) {
    return { ...over, phase: "failed", problem: { code: "lost", message: "" } };
  }
  return { ...over, phase: "ended", ended: state.ended ?? { reason, summary: null } };
}

function quiet(state: CallState): CallState {
  return { ...state, userSpeaking: false, botSpeaking: false, thinking: false, camera: "off" };
}

/** One message from the bot. */
function received(state: CallState, type: string, data: Fields, at: number): CallState {
  switch (type) {
    case "user-started-speaking":
      return { ...state, userSpeaking: true, thinking: false };
    case "user-stopped-speaking":
      return { ...state, userSpeaking: false, thinking: true };
    case "bot-llm-started":
      return { ...state, thinking: true };
    case "bot-started-speaking":
      return { ...state, botSpeaking: true, thinking: false };
    case "bot-stopped-speaking":
      return { ...state, botSpeaking: false };
    case "bot-interrupted":
      return { ...botCutOff(state), botSpeaking: false };
    case "bot-output":
      return data.will_be_spoken === true ? botSaid(state, segmentOf(data)) : state;
    case "user-input":
      return userInput(state, data);
    case "user-llm-text":
      return data.text === state.typedTurn
        ? { ...state, typedTurn: null }
        : userTurn(state, String(data.text ?? ""));
    case "server-message":
      return data.type === "sonora" ? told(state, data as unknown as SonoraEvent, at) : state;
    default:
      return state;
  }
}

/** What the user said or typed; what is typed here is there already. */
function userInput(state: CallState, data: Fields): CallState {
  const text = String(data.text ?? "");
  if (data.input_type === "chat") return { ...state, typedTurn: text };
  if (data.input_type === "backchannel") return userAcknowledged(state, text);
  return data.input_type === "transcription" ? userSaid(state, text, data.final === true) : state;
}

function segmentOf(data: Fields): { id: number; said: string; coming: string } {
  const text = String(data.text ?? "");
  const id = Number(data.segment_id ?? 0);
  if (data.spoken_status === "completed") return { id, said: text, coming: "" };
  const progress = data.spoken_progress as Record<string, string> | undefined;
  if (data.spoken_status === "new" || !progress) return { id, said: "", coming: text };
  return {
    id,
    said: progress.accumulated_text ?? "",
    coming: progress.remaining_text ?? "",
  };
}

/** One of Sonora's own events; docs/protocol.md has them all. */
function told(state: CallState, event: SonoraEvent, at: number): CallState {
  switch (event.event) {
    case "node-changed": {
      const step = { from: event.previous, to: event.node, trigger: event.trigger, at };
      return { ...state, node: event.node, path: [...state.path, step] };
    }
    case "sources":
      return lookedUp(state, event);
    case "tool-call": {
      const { id, name, took_ms } = event;
      return toolUsed(state, { id, name, state: event.state, tookMs: took_ms ?? null });
    }
    case "message-recorded":
      return recorded(state, event);
    case "message-stored":
      return stored(state, event.id);
    case "storage":
      return { ...state, storage: { state: event.state, pending: event.pending } };
    case "turn-latency": {
      const turn = { totalMs: event.total_ms, partsMs: event.parts_ms };
      return { ...state, latencies: [...state.latencies, turn] };
    }
    case "conversation-opened":
      return {
        ...spokenIn(state, event.language),
        phase: "live",
        conversationId: event.conversation_id,
        sessionId: event.session_id,
        resumed: event.resumed,
        putBack: event.put_back,
        ended: null,
      };
    case "language-changed":
      return languageChanged(state, event.language);
    case "recording":
      return { ...state, recording: event.on };
    case "memory-kept":
    case "memory-ended":
      return { ...state, memoryChanges: state.memoryChanges + 1 };
    case "notice":
      return { ...state, notice: { code: event.code, message: event.message } };
    case "conversation-ended":
      return { ...state, ended: { reason: event.reason, summary: event.summary ?? null } };
    case "frame-wanted":
    case "history-loaded":
      return state;
    default:
      event satisfies never; // an event that is missing above does not compile
      return state; // of a bot that is newer than the page
  }
}
