import type { MessageRecorded } from "../call/protocol";
import type { CallState, Entry, Segment } from "./model";
import { blank, wordsOf } from "./transcript";

/*
 * The transcript, as the journal has it. What is shown as it comes may be wrong: words of an answer
 * that was cut off come after those of the next, and two answers may follow each other without a
 * sign. The record of a turn tells what it was, and where it stands.
 */

/** A turn is in the journal: what is shown of it is what the journal has, in its order. */
export function recorded(state: CallState, report: MessageRecorded): CallState {
  const found = shownOf(state, report);
  if (!found && !report.content) return state;
  const shown = found ?? blank(state, report.role, report.modality);
  const { id, seq, interrupted, content } = report;
  const { own, next } = divided(shown, report);
  const entry: Entry = {
    ...shown,
    segments: own,
    id,
    seq,
    interrupted,
    content: content ?? "",
    closed: true,
    kept: "journalled",
  };
  let nextKey = found ? state.nextKey : state.nextKey + 1;
  const entries = found
    ? state.entries.map((each) => (each === found ? entry : each))
    : [...state.entries, entry];
  if (next.length > 0) {
    const goesOn = { ...blank(state, report.role, report.modality), segments: next, key: nextKey };
    nextKey += 1;
    entries.push(goesOn);
  }
  return { ...state, entries: inPlace(entries, entry), nextKey };
}

/** What is shown of a turn: the oldest without a record that has its words, or else the oldest. */
function shownOf(state: CallState, report: MessageRecorded): Entry | undefined {
  const open = state.entries.filter(
    (each) =>
      each.role === report.role &&
      each.modality === report.modality &&
      each.id === null &&
      each.refused === null,
  );
  const content = plain(report.content ?? "");
  const alike = open.find((each) => {
    const said = plain(wordsOf(each).said);
    return said === content || (said && content && (content.startsWith(said) || said.startsWith(content)));
  });
  // An answer that goes on is not the one that was cut off.
  return alike ?? open.find((each) => each.closed || !report.interrupted);
}

/** The pieces of speech that belong to the recorded turn, and those of the turn after it. */
function divided(entry: Entry, report: MessageRecorded): { own: Segment[]; next: Segment[] } {
  const { segments } = entry;
  if (report.role !== "assistant" || report.interrupted) return { own: segments, next: [] };
  const content = plain(report.content ?? "");
  let end = 0;
  const first = segments.findIndex(({ said, coming }) => {
    const words = plain(`${said} ${coming}`);
    const at = content.indexOf(words, end);
    end = at + words.length;
    return at < 0;
  });
  // A turn of which not even the first piece is found was kept in other words.
  if (first < 1) return { own: segments, next: [] };
  return { own: segments.slice(0, first), next: segments.slice(first) };
}

/** The entries, with one moved behind those that are before it in the journal. */
function inPlace(entries: Entry[], entry: Entry): Entry[] {
  const seq = entry.seq ?? 0;
  const others = entries.filter((each) => each !== entry);
  const at = entries.indexOf(entry);
  const after = others.findLastIndex((each) => each.seq !== null && each.seq < seq) + 1;
  const before = others.findIndex((each) => each.seq !== null && each.seq > seq);
  const place = Math.max(after, before < 0 ? at : Math.min(at, before));
  return [...others.slice(0, place), entry, ...others.slice(place)];
}

function plain(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
