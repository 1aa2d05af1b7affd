import { useEffect, useRef, useState } from "preact/hooks";
import type { View } from "./views/nav";

/** What the page's address names: a conversation, and one of its turns, counted from 1. */
export interface Place {
  conversation: string;
  turn: number | null;
}

/** Where one is: what is looked at, and the place that the address names; null: none. */
export interface Here {
  view: View;
  place: Place | null;
}

/** Where one thing at a time is shown, as in layout.css. */
export const NARROW = "(max-width: 1179px)";

const FIGURES = "#/figures";
const FORM = /^#\/conversations\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\/turns\/(\d{1,6}))?$/;

/** The address, from `#` on, of a conversation or a turn. */
export function addressOf(conversation: string, turn: number | null = null): string {
  return `#/conversations/${conversation}${turn ? `/turns/${turn}` : ""}`;
}

function placeOf(address: string): Place | null {
  const [, conversation, turn] = FORM.exec(address) ?? [];
  return conversation ? { conversation, turn: turn ? Number(turn) : null } : null;
}

/** Of the views, the figures of many calls have an address; the browser's history keeps the others. */
function addressIn({ view, place }: Here): string {
  if (view === "figures") return FIGURES;
  return place ? addressOf(place.conversation, place.turn) : location.pathname;
}

function read(before: Here | null): Here {
  const kept = history.state as Here | null;
  if (location.hash === FIGURES) return { view: "figures", place: kept?.place ?? null };
  const place = placeOf(location.hash);
  // Whoever follows a link to a turn of what is shown looks on at what they looked at beside it.
  const beside = before && before.view !== "figures" && !matchMedia(NARROW).matches;
  const same = before?.place?.conversation === place?.conversation;
  return { view: kept?.view ?? (beside && same ? before.view : "talk"), place };
}

/**
 * Where one is, by a link, by a reload, by going back, or by `go`. Where one thing at a time is
 * shown, going back leads through what was looked at; elsewhere, to the conversation before.
 */
export function useHere(): [Here, (change: Partial<Here>) => void] {
  const [here, setHere] = useState(() => read(null));
  const latest = useRef(here);
  const note = (next: Here): void => {
    latest.current = next;
    setHere(next);
  };
  useEffect(() => {
    history.replaceState(latest.current, "");
    const moved = (): void => {
      // Other fragments are places within the page.
      if (location.hash && !location.hash.startsWith("#/")) return;
      note(read(latest.current));
      history.replaceState(latest.current, "");
    };
    addEventListener("popstate", moved);
    return () => removeEventListener("popstate", moved);
  }, []);
  const go = (change: Partial<Here>): void => {
    const before = latest.current;
    const next = { ...before, ...change };
    const address = addressIn(next);
    const looked = next.view !== before.view && matchMedia(NARROW).matches;
    const moves = looked || address !== addressIn(before);
    history[moves ? "pushState" : "replaceState"](next, "", address);
    note(next);
  };
  return [here, go];
}
