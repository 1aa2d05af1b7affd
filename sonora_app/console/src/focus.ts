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

/** Closes what unfolds on Escape, and gives the focus back to what unfolds it. */
export function closeOnEscape(event: KeyboardEvent): void {
  const unfolds = event.currentTarget;
  if (event.key !== "Escape" || !(unfolds instanceof HTMLDetailsElement) || !unfolds.open) return;
  event.stopPropagation();
  unfolds.open = false;
  unfolds.querySelector("summary")?.focus();
}
