import { useCallback, useEffect, useState } from "preact/hooks";
import { ApiError, type Asked, api, type Findings, type Knowledge } from "../api";
import { useWords } from "../words";
import { PassageView } from "./sources";

interface Props {
  userId: string;
  /** Goes up with each turn, after which a question may be missed. */
  changes: number;
  language: string;
}

/** The documents that Sonora answers from, a search of them, and what nothing was found for. */
export function KnowledgeView({ userId, changes, language }: Props) {
  const words = useWords();
  const [known, setKnown] = useState<Asked<Knowledge>>(undefined);
  const read = useCallback(() => {
    api.knowledge().then(setKnown, () => setKnown(null));
  }, []);
  useEffect(read, [read, changes]);
  return (
    <section class="knowledge" aria-labelledby="knowledge-title">
      <h2 id="knowledge-title">{words.knowledge.title}</h2>
      <p class="lead">{words.knowledge.lead}</p>
      {known === null && <p class="nothing">{words.knowledge.failed}</p>}
      {known && !known.searchable && <p class="nothing">{words.knowledge.none}</p>}
      {known?.searchable && (
        <>
          <Trial userId={userId} />
          <Documents known={known} />
          <Unanswered known={known} language={language} />
        </>
      )}
    </section>
  );
}

/** A search as this user's call would do it. */
function Trial({ userId }: { userId: string }) {
  const words = useWords();
  const [question, setQuestion] = useState("");
  const [findings, setFindings] = useState<Findings | null>(null);
  const [problem, setProblem] = useState("");
  const search = (): Promise<void> =>
    api.search(question, userId).then(
      (found) => {
        setProblem("");
        setFindings(found);
      },
      (error) =>
        setProblem(error instanceof ApiError && error.message ? error.message : words.offline),
    );
  return (
    <>
      <form
        class="asking"
        onSubmit={(event) => {
          event.preventDefault();
          void search();
        }}
      >
        <input
          type="text"
          aria-label={words.knowledge.question}
          placeholder={words.knowledge.question}
          maxLength={500}
          required
          value={question}
          onInput={(event) => setQuestion(event.currentTarget.value)}
        />
        <button type="submit" class="secondary">{words.knowledge.search}</button>
      </form>
      {problem && (
        <p class="detail" role="alert">
          {problem}
        </p>
      )}
      {findings && (
        <div class="findings" aria-live="polite">
          <p class="facts">
            <span>{words.knowledge.given(findings.given.length, findings.found.length)}</span>
            <span>{Math.round(findings.took_ms)} ms</span>
          </p>
          <ol class="sources">
            {findings.found.map((found) => (
              <li key={found.id} class={findings.given.includes(found.id) ? "given" : ""}>
                <PassageView {...found} />
              </li>
            ))}
          </ol>
        </div>
      )}
    </>
  );
}

function Documents({ known }: { known: Knowledge }) {
  const words = useWords();
  return (
    <>
      <h3>{words.knowledge.documents(known.documents.length)}</h3>
      <p class="facts">{words.knowledge.where[known.where]}</p>
      <ul class="listings">
        {known.documents.map((document) => (
          <li key={document.id} class="document">
            <p class="content">{document.title}</p>
            <p class="facts">
              <span>{words.knowledge.passages(document.passages)}</span>
              <span>{document.user_id ?? words.knowledge.everybody}</span>
              <span>{document.source.split("/").at(-1)}</span>
            </p>
          </li>
        ))}
      </ul>
    </>
  );
}

function Unanswered({ known, language }: { known: Knowledge; language: string }) {
  const words = useWords();
  return (
    <>
      <h3>{words.knowledge.unanswered}</h3>
      {known.unanswered.length === 0 && <p class="nothing">{words.knowledge.noneUnanswered}</p>}
      <ul class="listings">
        {known.unanswered.map((each) => (
          <li key={each.asked_at} class="document">
            <p class="content">{each.question}</p>
            <p class="facts">
              <span>{new Date(each.asked_at).toLocaleTimeString(language)}</span>
              {each.user_id && <span>{each.user_id}</span>}
            </p>
          </li>
        ))}
      </ul>
    </>
  );
}
