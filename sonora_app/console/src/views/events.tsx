import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Logged } from "../state/model";
import { useWords } from "../words";

/** The most messages drawn at once: the newest of those that are looked for. */
const DRAWN = 300;

interface Props {
  log: Logged[];
  open: boolean;
  onOpen: (open: boolean) => void;
}

/** The messages of the call, in a drawer at the foot of the page. */
export function Events({ log, open, onOpen }: Props) {
  const words = useWords();
  const [filter, setFilter] = useState("");
  const [copied, setCopied] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (!open) return;
    const opener = document.activeElement;
    field.current?.focus();
    return () => {
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, [open]);
  const found = useMemo(() => {
    if (!open) return [];
    const wanted = filter.trim().toLowerCase();
    return log.filter((each) => !wanted || written(each).toLowerCase().includes(wanted));
  }, [log, filter, open]);
  if (!open) return null;
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(found.map(written).join("\n"));
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <section
      class="drawer"
      aria-labelledby="events-title"
      onKeyDown={(event) => event.key === "Escape" && onOpen(false)}
    >
      <div class="heading">
        <h2 id="events-title">{words.events.title}</h2>
        <input
          ref={field}
          type="search"
          value={filter}
          aria-label={words.events.filter}
          placeholder={words.events.filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
        <span class="count" role="status">
          {words.events.shown(found.length, log.length)}
        </span>
        <button
          type="button"
          class="secondary"
          disabled={!found.length}
          onClick={() => void copy()}
        >
          {copied ? words.events.copied : words.events.copy}
        </button>
        <button type="button" class="secondary" onClick={() => onOpen(false)}>
          {words.events.close}
        </button>
      </div>
      {found.length === 0 && (
        <p class="nothing">{log.length ? words.events.noneFound : words.events.none}</p>
      )}
      <ol tabIndex={0} aria-label={words.events.log}>
        {found.slice(-DRAWN).map((each) => (
          <li key={each.key} class={each.out ? "out" : ""}>
            <time>{clock(each.at)}</time>
            <span class="way" aria-hidden="true">
              {each.out ? "→" : "←"}
            </span>
            <span class="type">{each.type}</span>
            <code>{each.data === undefined ? "" : JSON.stringify(each.data)}</code>
          </li>
        ))}
      </ol>
    </section>
  );
}

function clock(at: number): string {
  return new Date(at).toLocaleTimeString("en-GB", { fractionalSecondDigits: 3 });
}

function written({ at, out, type, data }: Logged): string {
  return `${clock(at)} ${out ? "->" : "<-"} ${type} ${data === undefined ? "" : JSON.stringify(data)}`;
}
