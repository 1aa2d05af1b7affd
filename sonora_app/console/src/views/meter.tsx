import { useEffect, useRef } from "preact/hooks";
import type { Level } from "../call/level";

/** A sound's loudness, as a bar that follows it. */
export function Meter({ label, level }: { label: string; level: Level }) {
  const root = useRef<HTMLDivElement>(null);
  const bar = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    let frame = 0;
    let shown = 0;
    const draw = (): void => {
      // Up at once, down slowly, so that a word is seen as one movement.
      shown = Math.max(level.read(), shown * 0.88);
      if (bar.current) bar.current.style.transform = `scaleX(${shown.toFixed(3)})`;
      root.current?.setAttribute("aria-valuenow", String(Math.round(shown * 100)));
      frame = requestAnimationFrame(draw);
    };
    draw();
    return () => cancelAnimationFrame(frame);
  }, [level]);
  return (
    <div
      class="meter"
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={0}
      ref={root}
    >
      <span class="meter-name" aria-hidden="true">
        {label}
      </span>
      <span class="meter-track" aria-hidden="true">
        <span ref={bar} />
      </span>
    </div>
  );
}
