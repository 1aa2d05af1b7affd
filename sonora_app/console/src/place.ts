import { useEffect, useState } from "preact/hooks";

/** What the page's address names: a conversation, and one of its turns, counted from 1. */
export interface Place {
  conversation: string;
  turn: number | null;
}

const FORM = /^#\/conversations\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\/turns\/(\d{1,6}))?$/;

/** The address, from `#` on, that `placeOf` reads. */
export function addressOf(conversation: string, turn: number | null = null): string {
  return `#/conversations/${conversation}${turn ? `/turns/${turn}` : ""}`;
}

function placeOf(address: string): Place | null {
  const [, conversation, turn] = FORM.exec(address) ?? [];
  return conversation ? { conversation, turn: turn ? Number(turn) : null } : null;
}

/** Where the address leads, by a link, by going back, or by `go`; null: nowhere in particular. */
export function usePlace(): [Place | null, (place: Place | null) => void] {
  const [address, setAddress] = useState(location.hash);
  useEffect(() => {
    // Other fragments are places within the page.
    const moved = (): void => {
      if (!location.hash || location.hash.startsWith("#/")) setAddress(location.hash);
    };
    addEventListener("popstate", moved);
    return () => removeEventListener("popstate", moved);
  }, []);
  const go = (place: Place | null): void => {
    const next = place ? addressOf(place.conversation, place.turn) : "";
    if (next !== location.hash) history.pushState(null, "", next || location.pathname);
    setAddress(next);
  };
  return [placeOf(address), go];
}
