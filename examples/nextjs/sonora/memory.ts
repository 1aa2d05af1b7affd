/** What Sonora remembers of the user, as a page holds it. Nothing here changes in place. */

import type { Memories, MemoryEnded, MemoryKept, RememberedFact } from "./protocol";

export interface Memory {
  /** The latest first. */
  readonly facts: readonly RememberedFact[];
  /** There are more than these. */
  readonly more: boolean;
  /** What the user said about being remembered; null: nothing. */
  readonly remembers: boolean | null;
  /** Whether what they say now may be kept. */
  readonly keeps: boolean;
}

/** With an answer to `list_memories`: the first one, or one that goes on from `memory`. */
export function withListed(memory: Memory | null, answer: Memories): Memory {
  const { memories, more, remembers, keeps } = answer;
  const known = new Set(memory?.facts.map((fact) => fact.id));
  const fresh = memories.filter((fact) => !known.has(fact.id));
  return { facts: [...(memory?.facts ?? []), ...fresh], more, remembers, keeps };
}

/** With a fact that was kept, which may take the place of another one. */
export function withKept(memory: Memory, event: MemoryKept): Memory {
  const gone = [event.replaces, event.memory.id];
  const others = memory.facts.filter((fact) => !gone.includes(fact.id));
  return { ...memory, facts: [event.memory, ...others] };
}

/** Without a fact that was forgotten, or that holds no more. */
export function withoutEnded(memory: Memory, event: MemoryEnded): Memory {
  return { ...memory, facts: memory.facts.filter((fact) => fact.id !== event.id) };
}
