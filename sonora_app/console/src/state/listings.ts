import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Asked, api, type Page, type Wanted } from "../api";

/** How many conversations a page of the list has. */
export const PAGE = 50;
/** How often the list is read anew, for calls that others hold. */
const AGAIN_MS = 15_000;
/** How long one may pause in writing what to look for. */
const PAUSE_MS = 250;

export const NOTHING_WANTED: Wanted = {
  text: "",
  status: "",
  since: "",
  until: "",
  failed: false,
  slow: false,
  outcome: "",
  begun_since: "",
  begun_until: "",
  ended: "",
  cut: false,
  failure: "",
  version: "",
  flow: "",
  label: "",
};

/** The list of conversations, and what is wanted of it. */
export interface Listed {
  page: Asked<Page>;
  wanted: Wanted;
  offset: number;
  want: (wanted: Wanted) => void;
  turn: (offset: number) => void;
  refresh: () => void;
}

/** What one writes of what is wanted, a letter at a time. */
function written({ text, label }: Wanted): string {
  return `${text}\n${label}`;
}

/**
 * Reads a page of the list, and reads it again whenever it may have changed.
 *
 * @param userId Whose conversations; null: everybody's.
 */
export function useListings(userId: string | null): Listed {
  const [page, setPage] = useState<Asked<Page>>(undefined);
  const [wanted, setWanted] = useState(NOTHING_WANTED);
  const [offset, setOffset] = useState(0);
  const asked = useRef(0);
  const latest = useRef({ userId, wanted, offset });
  const before = written(latest.current.wanted);
  latest.current = { userId, wanted, offset };
  const refresh = useCallback(() => {
    const number = ++asked.current;
    // What was asked before may be answered later.
    const set = (found: Page | null): void => {
      if (number === asked.current) setPage(found);
    };
    const { userId, wanted, offset } = latest.current;
    api.conversations(userId, wanted, PAGE, offset).then(set, () => set(null));
  }, []);
  useEffect(() => setOffset(0), [userId]);
  useEffect(() => {
    const timer = setTimeout(refresh, before === written(wanted) ? 0 : PAUSE_MS);
    return () => clearTimeout(timer);
  }, [userId, wanted, offset]);
  const known = page !== null;
  useEffect(() => {
    const look = (): void => {
      if (known && document.visibilityState === "visible") refresh();
    };
    const timer = setInterval(look, AGAIN_MS);
    return () => clearInterval(timer);
  }, [refresh, known]);
  const want = (next: Wanted): void => {
    setWanted(next);
    setOffset(0);
  };
  return { page, wanted, offset, want, turn: setOffset, refresh };
}
