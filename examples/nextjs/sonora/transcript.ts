/** The talk as lines on a page, built from what the client tells. Nothing here changes in place. */

import type { BotOutputData } from "@pipecat-ai/client-js";

import type { UserInput } from "./client";
import type { Language } from "./protocol";

export interface Line {
  readonly key: string;
  readonly role: "user" | "assistant";
  /** All of it, once it is `interrupted` or `final`: as far as it was heard. */
  readonly text: string;
  /** How much of it was heard so far. */
  readonly heard: string;
  /** `partial` may still change; `interrupted` was cut off. */
  readonly state: "partial" | "final" | "interrupted";
  readonly typed: boolean;
  /** Null where that is not known, as of what was said in earlier calls. */
  readonly language: Language | null;
}

export type Lines = readonly Line[];

/** A row of the table `messages`, as Supabase gives it to the user whose it is. */
export interface KeptMessage {
  id: string;
  role: string;
  content: string | null;
  modality: string | null;
  interrupted: boolean | null;
}

/** With what was said in earlier calls, the oldest first, before all else. */
export function withHistory(lines: Lines, messages: readonly KeptMessage[]): Lines {
  const earlier = messages
    .filter((message) => message.content)
    .map((message): Line => ({
      key: message.id,
      // The text-chat API has other names for both.
      role: message.role === "user" || message.role === "human" ? "user" : "assistant",
      text: message.content ?? "",
      heard: message.content ?? "",
      state: message.interrupted ? "interrupted" : "final",
      typed: message.modality === "text",
      language: null,
    }));
  return [...earlier, ...lines];
}

/** With what the recogniser understood; a partial text is replaced by the next one. */
export function withUserInput(
  lines: Lines,
  { text, input_type, final }: UserInput,
  language: Language | null,
): Lines {
  // What was typed is there already, and a murmur takes no turn.
  if (input_type !== "transcription") return lines;
  const last = lines.at(-1);
  const replaces = last?.role === "user" && last.state === "partial";
  const line: Line = {
    key: replaces ? last.key : nextKey(lines),
    role: "user",
    text,
    heard: text,
    state: final ? "final" : "partial",
    typed: false,
    language,
  };
  return replaces ? [...lines.slice(0, -1), line] : [...lines, line];
}

/** With what the user typed. */
export function withTyped(lines: Lines, text: string, language: Language | null): Lines {
  const line = { key: nextKey(lines), text, heard: text, typed: true, language } as const;
  return [...lines, { ...line, role: "user", state: "final" }];
}

/**
 * With a sentence of the bot's, which comes more than once: when it is about to be spoken, as it is
 * spoken, and when it was. `call` tells the calls of one conversation apart: each counts its
 * sentences anew.
 */
export function withBotOutput(
  lines: Lines,
  output: BotOutputData,
  call: number,
  language: Language | null,
): Lines {
  const { segment_id, spoken_status, spoken_progress, text } = output;
  const whole = spoken_status === undefined || spoken_status === "completed";
  const key = segment_id === undefined ? nextKey(lines) : `${call}:${segment_id}`;
  const known = lines.find((other) => other.key === key);
  const line: Line = {
    key,
    role: "assistant",
    text,
    heard: whole ? text : (spoken_progress?.accumulated_text.trim() ?? ""),
    state: whole ? "final" : "partial",
    typed: false,
    language: known ? known.language : language,
  };
  return known ? lines.map((other) => (other === known ? line : other)) : [...lines, line];
}

/** With the call going on in `language`, as what the user said last is already. */
export function withLanguage(lines: Lines, language: Language): Lines {
  const last = lines.at(-1);
  return last?.role === "user" ? [...lines.slice(0, -1), { ...last, language }] : lines;
}

/** With what the bot was saying cut off: without the words that nobody heard. */
export function withInterruption(lines: Lines): Lines {
  const cut = (line: Line): boolean => line.role === "assistant" && line.state === "partial";
  return lines
    .filter((line) => !cut(line) || line.heard)
    .map((line) => (cut(line) ? { ...line, text: line.heard, state: "interrupted" } : line));
}

function nextKey(lines: Lines): string {
  const used = lines.map(({ key }) => Number(/^line-(\d+)$/.exec(key)?.[1] ?? -1));
  return `line-${Math.max(-1, ...used) + 1}`;
}
