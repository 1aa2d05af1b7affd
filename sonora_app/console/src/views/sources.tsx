import type { LookedUp } from "../state/model";
import { useWords } from "../words";

/** What an answer was given of the documents. Where nothing fitted, nothing is shown. */
export function SourcesView({ found }: { found: LookedUp }) {
  const words = useWords();
  if (found.state === "late" || found.state === "failed") {
    return <p class="sources detail">{words.sources[found.state]}</p>;
  }
  if (found.sources.length === 0) return null;
  const names = new Set(found.sources.map((source) => source.document));
  return (
    <details class="sources">
      <summary>{words.sources.from([...names].join(", "))}</summary>
      <p class="facts">
        <span>{words.sources.searched(found.question)}</span>
        <span>{words.sources.took(Math.round(found.took_ms), Math.round(found.waited_ms))}</span>
      </p>
      <ul>
        {found.sources.map((source) => (
          <li key={source.passage_id}>
            <PassageView {...source} headings={source.heading ? [source.heading] : []} />
          </li>
        ))}
      </ul>
    </details>
  );
}

interface PassageProps {
  document: string;
  headings: string[];
  page?: number | null;
  link?: string | null;
  content: string;
}

/** A passage, and where it stands. */
export function PassageView({ document, headings, page, link, content }: PassageProps) {
  const words = useWords();
  const place = [document, ...headings].join(" › ") + (page ? words.sources.page(page) : "");
  return (
    <>
      <p class="place">
        {link ? (
          <a href={link} target="_blank" rel="noreferrer">
            {place}
          </a>
        ) : (
          place
        )}
      </p>
      <blockquote>{content}</blockquote>
    </>
  );
}
