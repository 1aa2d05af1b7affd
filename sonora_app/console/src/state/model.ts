import type { MicrophoneProblem } from "../call/microphone";
import type { Language, Sources, StorageState, ToolCallEvent } from "../call/protocol";

/** Where a call stands. */
export type Phase =
  | "idle"
  | "microphone"
  | "connecting"
  | "waiting"
  | "live"
  | "reconnecting"
  | "ended"
  | "failed";

/** How far a message has come. */
export type Kept = "heard" | "journalled" | "stored";

/** A piece of speech, or what was typed. */
export interface Segment {
  id: number;
  /** What was said so far. */
  said: string;
  /** What is still to be said, or may still change. */
  coming: string;
}

/** What was looked up in documents for an answer. */
export type LookedUp = Omit<Sources, "type" | "event">;

/** A call of a tool. */
export interface ToolUse {
  key: number;
  id: string;
  name: string;
  state: ToolCallEvent["state"];
  tookMs: number | null;
}

/** A file that is sent with a message. */
export interface SentFile {
  key: string;
  name: string;
  /** The address of a picture, within this page; null for a document. */
  url: string | null;
}

/** One turn of one speaker. */
export interface Entry {
  key: number;
  role: string;
  modality: "voice" | "text";
  segments: Segment[];
  /** The language it is in; null where the bot did not tell. */
  language: Language | null;
  node: string | null;
  /** The other speaker cut in. */
  interrupted: boolean;
  /** It took no turn: it only told that somebody listens. */
  acknowledges: boolean;
  /** Nothing more is added to it. */
  closed: boolean;
  kept: Kept;
  id: string | null;
  /** Its place in the journal of this call; null as long as that is not known. */
  seq: number | null;
  /** What the journal has of it, which is what is shown; null as long as that is not known. */
  content: string | null;
  /** Why the bot did not take it. */
  refused: string | null;
  /** What was looked up for it. */
  lookedUp: LookedUp | null;
  /** What was sent with it. */
  files: SentFile[];
}

/** A step of the flow. */
export interface Step {
  from: string;
  to: string;
  trigger: string;
  at: number;
}

/** How long an answer took, and its parts, in milliseconds. */
export interface TurnLatency {
  totalMs: number;
  partsMs: Record<string, number>;
}

/** A message of the protocol, as it came or went. */
export interface Logged {
  key: number;
  at: number;
  out: boolean;
  type: string;
  data: unknown;
}

/** What went wrong: a code of the protocol, or one of the page's own, and the bot's words. */
export interface Problem {
  code: string;
  message: string;
}

/** Everything that is known of the call. */
export interface CallState {
  phase: Phase;
  problem: Problem | null;
  notice: Problem | null;
  microphone: "off" | "on" | "muted";
  microphoneProblem: MicrophoneProblem | null;
  /** Whether the bot may look through the camera. */
  camera: "off" | "on" | "blocked";
  conversationId: string | null;
  /** The call, by the name that it is kept under. */
  sessionId: string | null;
  resumed: boolean;
  /** Whether the talk goes on where it broke off, without a greeting. */
  putBack: boolean;
  /** Whether the call's sound is being kept. */
  recording: boolean;
  /** What is spoken; null until the bot tells. */
  language: Language | null;
  node: string | null;
  path: Step[];
  entries: Entry[];
  /** What was typed and goes to the model as a turn of its own. */
  typedTurn: string | null;
  /** What was looked up for an answer that has not begun. */
  lookedUp: LookedUp | null;
  /** What was done with tools, in the order in which it began. */
  tools: ToolUse[];
  userSpeaking: boolean;
  botSpeaking: boolean;
  thinking: boolean;
  latencies: TurnLatency[];
  storage: Pick<StorageState, "state" | "pending"> | null;
  ended: { reason: string; summary: string | null } | null;
  /** How often something was kept of the person, or forgotten. */
  memoryChanges: number;
  log: Logged[];
  nextKey: number;
}

export const NO_CALL: CallState = {
  phase: "idle",
  problem: null,
  notice: null,
  microphone: "off",
  microphoneProblem: null,
  camera: "off",
  conversationId: null,
  sessionId: null,
  resumed: false,
  putBack: false,
  recording: false,
  language: null,
  node: null,
  path: [],
  entries: [],
  typedTurn: null,
  lookedUp: null,
  tools: [],
  userSpeaking: false,
  botSpeaking: false,
  thinking: false,
  latencies: [],
  storage: null,
  ended: null,
  memoryChanges: 0,
  log: [],
  nextKey: 1,
};

/** Whether a call is being set up or held. */
export function isOn(phase: Phase): boolean {
  return !["idle", "ended", "failed"].includes(phase);
}
