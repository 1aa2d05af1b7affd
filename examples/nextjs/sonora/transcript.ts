/** The talk as lines on a page, built from what the client tells. Nothing here changes in place. */

import type { BotOutputData, TranscriptData } from "@pipecat-ai/client-js";

export interface Line {
  readonly key: string;
  readonly role: "user" | "assistant";
  readonly text: string;
  /** `partial` may still change; `interrupted` was cut off, so not all of it was heard. */
  readonly state: "partial" | "final" | "interrupted";
  readonly typed: boolean;
}

export type Lines = readonly Line[];

/** With what the recogniser understood; a partial text is replaced by the next one. */
export function withSpoken(lines: Lines, { text, final }: TranscriptData): Lines {
  const last = lines.at(-1);
  const replaces = last?.role === "user" && last.state === "partial";
  const line: Line = {
    key: replaces ? last.key : nextKey(lines),
    role: "user",
    text,
    state: final ? "final" : "partial",
    typed: false,
  };
  return replaces ? [...lines.slice(0, -1), line] : [...lines, line];
}

/** With what the user typed. */
export function withTyped(lines: Lines, text: string): Lines {
  return [...lines, { key: nextKey(lines), role: "user", text, state: "final", typed: true }];
}

/**
 * With a sentence of the bot's, which comes more than once: when it is about to be spoken, and
 * when it was. `call` tells the calls of one conversation apart: each counts its sentences anew.
 */
export function withBotOutput(lines: Lines, output: BotOutputData, call: number): Lines {
  const spoken = output.spoken_status;
  const line: Line = {
    key: output.segment_id === undefined ? nextKey(lines) : `${call}:${output.segment_id}`,
    role: "assistant",
    text: output.text,
    state: spoken === undefined || spoken === "completed" ? "final" : "partial",
    typed: false,
  };
  const known = lines.some((other) => other.key === line.key);
  return known
    ? lines.map((other) => (other.key === line.key ? line : other))
    : [...lines, line];
}

/** With the bot's last line marked as cut off. */
export function withInterruption(lines: Lines): Lines {
  const index = lines.findLastIndex((line) => line.role === "assistant");
  return lines.map((line, at) => (at === index ? { ...line, state: "interrupted" } : line));
}

function nextKey(lines: Lines): string {
  return `line-${lines.length}`;
}
