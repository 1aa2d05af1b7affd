import type { Language } from "../call/protocol";
import type { CallState, Entry, LookedUp, Segment, SentFile, ToolUse } from "./model";

/*
 * The transcript, built from what the bot reports. Each function gives the state after one report.
 */

/** What the bot is about to say, or how far it has come with it. */
export function botSaid(state: CallState, segment: Segment): CallState {
  const known = state.entries.findLast(
    (each) => each.role === "assistant" && each.segments.some(({ id }) => id === segment.id),
  );
  if (known) {
    const at = known.segments.findIndex(({ id }) => id === segment.id);
    const before = begun(known.segments.slice(0, at), segment);
    const segments = [...before, segment, ...known.segments.slice(at + 1)];
    return replace(state, { ...known, segments });
  }
  const { state: next, entry } = open(state, "assistant", "voice");
  return replace(next, { ...entry, segments: [...begun(entry.segments, segment), segment] });
}

/** Speech comes in order: what was announced before a piece that is said, and not begun, was dropped. */
function begun(before: Segment[], segment: Segment): Segment[] {
  return segment.said ? before.filter(({ said }) => said) : before;
}

/** What was looked up for the answer that begins now, or has just begun. */
export function lookedUp(state: CallState, found: LookedUp): CallState {
  const last = state.entries.at(-1);
  if (last?.role === "assistant" && !last.closed) return replace(state, { ...last, lookedUp: found });
  return { ...state, lookedUp: found };
}

/** A tool was called, or its call has ended. */
export function toolUsed(state: CallState, use: Omit<ToolUse, "key">): CallState {
  if (state.tools.some(({ id }) => id === use.id)) {
    const tools = state.tools.map((each) => (each.id === use.id ? { ...each, ...use } : each));
    return { ...state, tools };
  }
  const key = state.nextKey;
  return { ...state, tools: [...state.tools, { ...use, key }], nextKey: key + 1 };
}

/** The user cut in: what was not said never will be. */
export function botCutOff(state: CallState): CallState {
  const entry = state.entries.findLast((each) => each.role === "assistant" && !each.closed);
  if (!entry) return state;
  if (!entry.segments.some((segment) => segment.said)) return remove(state, entry);
  const interrupted = entry.segments.some((segment) => segment.coming);
  return replace(state, { ...entry, interrupted, closed: true });
}

/** What was understood of what the user says. */
export function userSaid(state: CallState, text: string, final: boolean): CallState {
  const { state: next, entry } = open(state, "user", "voice");
  const finals = entry.segments.filter((segment) => !segment.coming);
  const segment = { id: finals.length, said: final ? text : "", coming: final ? "" : text };
  return replace(next, { ...entry, segments: [...finals, segment] });
}

/**
 * All that the user said in a turn, as the model gets it. Of a turn that an answer had cut in two,
 * the model gets the whole, whose beginning is shown already.
 */
export function userTurn(state: CallState, text: string): CallState {
  const spoken = state.entries.filter(
    (each) => each.role === "user" && each.modality === "voice" && !each.acknowledges,
  );
  const entry = spoken.findLast((each) => !each.closed);
  if (!entry) return state;
  const before = spoken.slice(0, spoken.indexOf(entry)).map(saidIn);
  const begun = before.findIndex((_, at) => text.startsWith(`${before.slice(at).join(" ")} `));
  const said = begun < 0 ? text : text.slice(before.slice(begun).join(" ").length + 1);
  return replace(state, { ...entry, segments: [{ id: 0, said, coming: "" }], closed: true });
}

function saidIn({ segments }: Entry): string {
  return segments.map(({ said }) => said).join(" ");
}

/** What the user said over the bot was no turn. It is kept with what the bot was saying. */
export function userAcknowledged(state: CallState, text: string): CallState {
  const { state: next, entry } = open(state, "user", "voice");
  const segments = [{ id: 0, said: text, coming: "" }];
  return replace(next, { ...entry, segments, acknowledges: true, closed: true, id: "" });
}

/** It is known what is spoken, and so what was said before that was known. */
export function spokenIn(state: CallState, language: Language): CallState {
  const entries = state.entries.map((entry) => ({ ...entry, language: entry.language ?? language }));
  return { ...state, language, entries };
}

/** The call goes on in another language. What the user is saying, or typed last, is in it already. */
export function languageChanged(state: CallState, language: Language): CallState {
  const next = { ...state, language };
  const last = state.entries.at(-1);
  const changes = last?.role === "user" && (!last.closed || last.modality === "text");
  return last && changes ? replace(next, { ...last, language }) : next;
}

/** The user typed something. */
export function userTyped(
  state: CallState,
  key: number,
  text: string,
  files: SentFile[],
): CallState {
  const entry: Entry = {
    ...blank(state, "user", "text"),
    key,
    segments: [{ id: 0, said: text, coming: "" }],
    closed: true,
    files,
  };
  return { ...state, entries: [...state.entries, entry], nextKey: Math.max(state.nextKey, key + 1) };
}

/** The bot did not take what the user typed. */
export function typedRefused(state: CallState, key: number, reason: string): CallState {
  const entry = state.entries.find((each) => each.key === key);
  return entry ? replace(state, { ...entry, refused: reason }) : state;
}

/** The connection is lost. What comes after it are turns of another call, which numbers its own. */
export function brokenOff(state: CallState): CallState {
  const cut = botCutOff(state);
  const entries = cut.entries.map((entry) => ({
    ...entry,
    segments: entry.segments.map((segment) => ({ ...segment, id: -1 })),
    closed: true,
    id: entry.id ?? "",
    seq: null,
  }));
  return { ...cut, entries, typedTurn: null, lookedUp: null };
}

/** A turn is in Supabase. */
export function stored(state: CallState, id: string): CallState {
  const entry = state.entries.find((each) => each.id === id);
  return entry ? replace(state, { ...entry, kept: "stored" }) : state;
}

/** The words of an entry, and those that may still come. */
export function wordsOf(entry: Entry): { said: string; coming: string } {
  const coming = joined(entry.segments.map((segment) => segment.coming));
  if (entry.content !== null) {
    return { said: entry.content, coming: entry.interrupted ? coming : "" };
  }
  return { said: joined(entry.segments.map((segment) => segment.said)), coming };
}

function joined(parts: string[]): string {
  return parts
    .map((part) => part.trim())
    .filter(Boolean)
    .join(" ");
}

function open(
  state: CallState,
  role: string,
  modality: Entry["modality"],
): { state: CallState; entry: Entry } {
  const last = state.entries.findLast((each) => each.role === role && each.modality === modality);
  if (last && !last.closed) return { state, entry: last };
  const answers = role === "assistant";
  const entry = { ...blank(state, role, modality), lookedUp: answers ? state.lookedUp : null };
  const next = {
    ...state,
    entries: [...state.entries, entry],
    nextKey: state.nextKey + 1,
    lookedUp: answers ? null : state.lookedUp,
  };
  return { state: next, entry };
}

/** A turn of which nothing is known but who takes it. */
export function blank(state: CallState, role: string, modality: Entry["modality"]): Entry {
  return {
    key: state.nextKey,
    role,
    modality,
    segments: [],
    language: state.language,
    node: state.node,
    interrupted: false,
    acknowledges: false,
    closed: false,
    kept: "heard",
    id: null,
    seq: null,
    content: null,
    refused: null,
    lookedUp: null,
    files: [],
  };
}

function replace(state: CallState, entry: Entry): CallState {
  const entries = state.entries.map((each) => (each.key === entry.key ? entry : each));
  return { ...state, entries };
}

function remove(state: CallState, entry: Entry): CallState {
  return { ...state, entries: state.entries.filter((each) => each.key !== entry.key) };
}
