import { useEffect, useRef } from "preact/hooks";
import type { RefObject } from "preact";

/** Moves the focus to what takes the place of what had it, whenever `on` changes. */
export function useFocusSwap<Shown extends HTMLElement, Hidden extends HTMLElement>(
  on: boolean,
): { shown: RefObject<Shown | null>; hidden: RefObject<Hidden | null> } {
  const shown = useRef<Shown>(null);
  const hidden = useRef<Hidden>(null);
  const before = useRef(on);
  useEffect(() => {
    if (before.current === on) return;
    before.current = on;
    (on ? shown : hidden).current?.focus();
  }, [on]);
  return { shown, hidden };
}

/** Closes what unfolds on Escape, wherever the focus is, and gives it to what unfolds it. */
export function useCloseOnEscape(): RefObject<HTMLDetailsElement | null> {
  const unfolds = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: KeyboardEvent): void => {
      if (event.key !== "Escape" || !unfolds.current?.open) return;
      unfolds.current.open = false;
      unfolds.current.querySelector("summary")?.focus();
    };
    document.addEventListener("keydown", close);
    return () => document.removeEventListener("keydown", close);
  }, []);
  return unfolds;
}
