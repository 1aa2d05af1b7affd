import { useEffect, useState } from "preact/hooks";
import { api, type StoredSession } from "../api";
import type { CallState } from "./model";

/** What the call used so far, asked with each message that is kept; null while nobody can say. */
export function useUsed({ sessionId, phase, entries }: CallState): StoredSession["metrics"] | null {
  const [used, setUsed] = useState<StoredSession["metrics"] | null>(null);
  const recorded = entries.filter(({ kept }) => kept !== "heard").length;
  const asked = phase === "live" && recorded > 0 ? sessionId : null;
  useEffect(() => {
    let wanted = true;
    const set = (found: StoredSession["metrics"] | null): void => {
      if (wanted) setUsed(found);
    };
    if (asked) {
      api.used(asked).then(set, () => set(null));
    } else {
      set(null);
    }
    return () => {
      wanted = false;
    };
  }, [asked, recorded]);
  return used;
}
