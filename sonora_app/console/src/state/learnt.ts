import { useEffect, useState } from "preact/hooks";
import { api, type Memory, type Transcript } from "../api";

/** What was remembered of what a conversation's person said in it, later replaced or not. */
export function useLearnt({ conversation, messages }: Transcript): Memory[] {
  const { id, user_id } = conversation;
  const [learnt, setLearnt] = useState<Memory[]>([]);
  useEffect(() => {
    let shown = true;
    const set = (facts: Memory[]): void => {
      if (shown) setLearnt(facts.filter((fact) => fact.conversation_id === id));
    };
    if (user_id) {
      api.memories(user_id, true).then(
        ({ memories }) => set(memories),
        () => set([]),
      );
    } else {
      set([]);
    }
    return () => {
      shown = false;
    };
  }, [id, user_id, messages.length]);
  return learnt;
}
