import type { ComponentChildren } from "preact";
import type { StoredToolCall } from "../api";
import type { ToolUse } from "../state/model";
import type { Turn } from "../state/turns";
import { useWords } from "../words";

interface LineProps extends Pick<ToolUse, "name" | "state" | "tookMs"> {
  /** What else is known of it. */
  children?: ComponentChildren;
}

/** What was done with a tool, as a line of the transcript. */
export function ToolLine({ name, state, tookMs, children }: LineProps) {
  const words = useWords();
  return (
    <li class="tool" data-state={state}>
      <code>{name}</code>
      <span>{words.tools[state]}</span>
      {tookMs !== null && <span>{words.tools.took(tookMs)}</span>}
      {children}
    </li>
  );
}

interface PastProps {
  call: StoredToolCall;
  children?: ComponentChildren;
}

/** A call of a tool in an earlier call. */
export function PastTool({ call, children }: PastProps) {
  // Of one that nobody knows the end of, `ended_at` is when that was noticed.
  const ended = call.status === "unknown" ? null : call.ended_at;
  const tookMs = ended ? Date.parse(ended) - Date.parse(call.started_at) : null;
  return (
    <ToolLine name={call.name} state={call.status} tookMs={tookMs}>
      {children}
    </ToolLine>
  );
}

/** What was said and what was done, by when it began. What was said keeps its own order. */
export function inTime(turns: Turn[], calls: StoredToolCall[]): (Turn | StoredToolCall)[] {
  const all: (Turn | StoredToolCall)[] = [...turns];
  for (const call of calls) {
    const began = Date.parse(call.started_at);
    const next = all.findIndex((each) => "role" in each && Date.parse(each.created_at) > began);
    all.splice(next < 0 ? all.length : next, 0, call);
  }
  return all;
}
