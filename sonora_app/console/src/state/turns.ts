import type { StoredMessage, Transcript } from "../api";

/** What one of the two said: a message, or the parts of a turn that an answer had cut in two. */
export interface Turn extends StoredMessage {
  /** The messages that it was kept as, in order; mostly one. Where it is one, itself. */
  parts: StoredMessage[];
}

/**
 * Messages as turns, in order; those that show nothing are left out. The parts of a turn that an
 * answer had cut in two, which `continues` joins, are one turn where its first part stands. The
 * bot's few words in between come after it, without their wait: nobody waited for them.
 */
export function turnsIn(messages: StoredMessage[]): Turn[] {
  const turns: Turn[] = [];
  const byMessage = new Map<string, Turn>();
  for (const message of messages) {
    if ((!message.content && !message.images?.length) || message.deleted_at) continue;
    const begun = byMessage.get(message.metadata?.continues ?? "");
    if (begun?.role === "user" && message.role === "user") {
      begun.parts.push(message);
      begun.content = begun.parts.map(({ content }) => content).join("\n");
      for (const cutIn of turns.slice(turns.indexOf(begun) + 1)) cutIn.metrics = null;
      byMessage.set(message.id, begun);
    } else {
      const turn = { ...message, parts: [message] };
      turns.push(turn);
      byMessage.set(message.id, turn);
    }
  }
  return turns;
}

/** The turns of a conversation: an address counts them. */
export function turnsOf(transcript: Transcript): Turn[] {
  return turnsIn(transcript.messages);
}

/** Whether a message is a turn, or a part of it. */
export function isOf(turn: Turn, messageId: string | null): boolean {
  return turn.parts.some(({ id }) => id === messageId);
}

/** The number of the turn that a message is part of; null where it is not shown. */
export function turnOf(transcript: Transcript, messageId: string | null): number | null {
  return turnsOf(transcript).findIndex((turn) => isOf(turn, messageId)) + 1 || null;
}
