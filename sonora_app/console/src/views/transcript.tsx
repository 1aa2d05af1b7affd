import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { StoredMessage, StoredToolCall } from "../api";
import type { CallState, Entry, ToolUse } from "../state/model";
import { wordsOf } from "../state/transcript";
import { type Turn, turnsIn } from "../state/turns";
import { useWords } from "../words";
import { KeptFiles, SentFiles } from "./attachments";
import { KeptMark } from "./kept";
import { SourcesView } from "./sources";
import { inTime, PastTool, ToolLine } from "./tools";

/** How near to the end one has read for the end to be kept in sight, in pixels. */
const NEAR = 120;

/** The speakers, with the names that the text-chat API has for them. */
const USER = new Set(["user", "human"]);
const ASSISTANT = new Set(["assistant", "agent"]);

interface Props {
  state: CallState;
  past: StoredMessage[];
  /** What was done with tools earlier. */
  done: StoredToolCall[];
  /** Whether what is in the journal goes on to Supabase. */
  supabase: boolean;
}

/** What was said: earlier, and in this call as it is being said. */
export function TranscriptView({ state, past, done, supabase }: Props) {
  const words = useWords();
  const box = useRef<HTMLDivElement>(null);
  const follow = useRef(true);
  useEffect(() => {
    if (follow.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [state.entries, past, state.phase]);
  // Whoever writes something wants to see it.
  const typed = state.entries.findLast((entry) => entry.modality === "text" && entry.role === "user");
  useEffect(() => {
    follow.current = true;
    if (typed && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [typed?.key]);
  const shown = turnsIn(past);
  const finished = state.entries.findLast((entry) => entry.closed && entry.id);
  return (
    <div
      class="transcript"
      role="region"
      aria-label={words.transcript.label}
      tabIndex={0}
      ref={box}
      onScroll={(event) => {
        const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
        follow.current = scrollHeight - scrollTop - clientHeight < NEAR;
      }}
    >
      {shown.length > 0 && (
        <p class="divider">
          <span>{words.transcript.earlier}</span>
        </p>
      )}
      <ol class="past">
        {inTime(shown, done).map((each) =>
          "role" in each ? (
            <Past key={each.id} message={each} />
          ) : (
            <PastTool key={each.id} call={each} />
          ),
        )}
      </ol>
      {shown.length > 0 && (
        <p class="divider">
          <span>{words.transcript.now}</span>
        </p>
      )}
      <ol>
        {inOrder(state.entries, state.tools).map((each) =>
          "segments" in each ? (
            <Said key={each.key} entry={each} supabase={supabase} />
          ) : (
            <ToolLine key={each.key} name={each.name} state={each.state} tookMs={each.tookMs} />
          ),
        )}
      </ol>
      {/* Whole turns are read out; words as they come would be a stammer. */}
      <p class="hidden" aria-live="polite">
        {finished && `${speaker(words, finished.role)}: ${wordsOf(finished).said}`}
      </p>
    </div>
  );
}

interface PastProps {
  message: Turn;
  /** What else is known of the turn. */
  children?: ComponentChildren;
}

/** A turn, as it is kept. */
export function Past({ message, children }: PastProps) {
  const words = useWords();
  return (
    <li class={`said ${side(message.role)}`} id={`message-${message.id}`} tabIndex={-1}>
      <p class="who">
        {speaker(words, message.role)}
        {message.modality === "text" && message.role === "user" && (
          <span class="mark">{words.transcript.typed}</span>
        )}
        {message.interrupted && <span class="mark cut">{words.transcript.interrupted}</span>}
        {message.parts.length > 1 && <span class="mark cut">{words.transcript.cutInTwo}</span>}
        {message.metadata?.backchannels?.map(({ text }) => (
          <span class="mark">
            {speaker(words, "user")}: {text}
          </span>
        ))}
      </p>
      {message.content && <p class="words">{message.content}</p>}
      <KeptFiles references={message.images ?? []} />
      {children}
    </li>
  );
}

function Said({ entry, supabase }: { entry: Entry; supabase: boolean }) {
  const words = useWords();
  const { said, coming } = wordsOf(entry);
  if (!said && !coming && entry.files.length === 0) return null;
  return (
    <li class={`said ${side(entry.role)}`} data-kept={entry.kept}>
      <p class="who">
        {speaker(words, entry.role)}
        {entry.modality === "text" && <span class="mark">{words.transcript.typed}</span>}
        {entry.interrupted && <span class="mark cut">{words.transcript.interrupted}</span>}
        {entry.acknowledges ? (
          <span class="mark">{words.transcript.acknowledges}</span>
        ) : entry.refused !== null ? (
          <span class="mark cut">{words.transcript.refused}</span>
        ) : (
          <KeptMark kept={entry.kept} supabase={supabase} />
        )}
      </p>
      {(said || coming) && (
        <p class="words" lang={entry.language ?? undefined}>
          {said}
          {said && coming && " "}
          {coming && (entry.interrupted ? <s>{coming}</s> : <span class="coming">{coming}</span>)}
        </p>
      )}
      <SentFiles files={entry.files} />
      {entry.refused && <p class="detail">{entry.refused}</p>}
      {entry.lookedUp && <SourcesView found={entry.lookedUp} />}
    </li>
  );
}

/** What was said and done, as it began. What was said keeps its own order. */
function inOrder(entries: Entry[], tools: ToolUse[]): (Entry | ToolUse)[] {
  const all: (Entry | ToolUse)[] = [...entries];
  for (const tool of tools) {
    const next = all.findIndex((each) => each.key > tool.key);
    all.splice(next < 0 ? all.length : next, 0, tool);
  }
  return all;
}

function side(role: string): string {
  return USER.has(role) ? "user" : "bot";
}

function speaker(words: ReturnType<typeof useWords>, role: string): string {
  if (USER.has(role)) return words.transcript.user;
  return ASSISTANT.has(role) ? words.transcript.assistant : role;
}
