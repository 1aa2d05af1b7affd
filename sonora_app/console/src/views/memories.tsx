import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, type Asked, api, type Memory, type Remembered } from "../api";
import { download } from "../download";
import { useFocusSwap } from "../focus";
import { useWords } from "../words";

interface Props {
  userId: string;
  /** Goes up with each fact that is kept or forgotten in the call. */
  changes: number;
  /** Whether a call goes on, which what was said earlier cannot be shown beside. */
  busy: boolean;
  onMessage: (conversationId: string, messageId: string | null) => void;
  language: string;
}

/** What Sonora remembers of who talks. */
export function MemoriesView({ userId, changes, busy, onMessage, language }: Props) {
  const words = useWords();
  const [known, setKnown] = useState<Asked<Remembered>>(undefined);
  const [past, setPast] = useState(false);
  const [problem, setProblem] = useState("");
  const read = useCallback(() => {
    api.memories(userId, past).then(setKnown, () => setKnown(null));
  }, [userId, past]);
  useEffect(read, [read, changes]);
  const attempt = (doing: Promise<unknown>): Promise<void> =>
    doing.then(
      () => {
        setProblem("");
        read();
      },
      (error) =>
        setProblem(error instanceof ApiError && error.message ? error.message : words.offline),
    );
  const facts = known?.memories ?? [];
  const title = useRef<HTMLHeadingElement>(null);
  return (
    <section class="memories" aria-labelledby="memories-title">
      <h2 id="memories-title" tabIndex={-1} ref={title}>{words.memories.title(userId)}</h2>
      <p class="lead">{words.memories.lead(userId)}</p>
      {known && (
        <label class="check">
          <input
            type="checkbox"
            checked={known.remembers !== false}
            onChange={(event) =>
              void attempt(api.chooseMemory(userId, event.currentTarget.checked))
            }
          />
          <span>{words.memories.remembers}</span>
        </label>
      )}
      <label class="check">
        <input
          type="checkbox"
          checked={past}
          onChange={(event) => setPast(event.currentTarget.checked)}
        />
        <span>{words.memories.past}</span>
      </label>
      {known === null && <p class="nothing">{words.memories.failed}</p>}
      {known && facts.length === 0 && <p class="nothing">{words.memories.none}</p>}
      {problem && (
        <p class="detail" role="alert">
          {problem}
        </p>
      )}
      <ul class="listings">
        {facts.map((memory) => (
          <Fact
            key={memory.id}
            memory={memory}
            busy={busy}
            language={language}
            onMessage={onMessage}
            onCorrect={(content) => void attempt(api.correctMemory(userId, memory.id, content))}
            onForget={() =>
              void attempt(api.forgetMemory(userId, memory.id).then(() => title.current?.focus()))
            }
          />
        ))}
      </ul>
      {facts.length > 0 && (
        <p class="links">
          <button
            type="button"
            class="secondary"
            onClick={() =>
              void attempt(
                api
                  .memories(userId, true)
                  .then((all) => download("sonora-memories.json", JSON.stringify(all, null, 2))),
              )
            }
          >
            {words.memories.export}
          </button>
        </p>
      )}
    </section>
  );
}

const DAY_MS = 86_400_000;

interface FactProps {
  memory: Memory;
  busy: boolean;
  language: string;
  onMessage: (conversationId: string, messageId: string | null) => void;
  onCorrect: (content: string) => void;
  onForget: () => void;
}

function Fact({ memory, busy, language, onMessage, onCorrect, onForget }: FactProps) {
  const words = useWords();
  const [doing, setDoing] = useState<"correcting" | "forgetting" | null>(null);
  const [text, setText] = useState(memory.content);
  const forgetting = useFocusSwap<HTMLButtonElement, HTMLButtonElement>(doing === "forgetting");
  const correcting = useFocusSwap<HTMLInputElement, HTMLButtonElement>(doing === "correcting");
  const source = memory.conversation_id;
  const day = (iso: string): string =>
    new Date(iso).toLocaleDateString(language, { day: "numeric", month: "short", year: "numeric" });
  // Noon in UTC is the end of the day before, wherever on earth: that day is meant.
  const until = (iso: string): string => {
    const end = new Date(iso);
    const noon = end.toISOString().endsWith("T12:00:00.000Z");
    return day(noon ? new Date(end.getTime() - DAY_MS).toISOString().slice(0, 10) + "T00:00" : iso);
  };
  return (
    <li class={memory.replaced_by ? "fact replaced" : "fact"}>
      {doing === "correcting" ? (
        <form
          class="asking"
          onSubmit={(event) => {
            event.preventDefault();
            setDoing(null);
            onCorrect(text);
          }}
        >
          <input
            ref={correcting.shown}
            type="text"
            aria-label={words.memories.correct}
            maxLength={500}
            required
            pattern=".*\S.*"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <button type="submit">{words.memories.save}</button>
          <button type="button" class="secondary" onClick={() => setDoing(null)}>
            {words.memories.keep}
          </button>
        </form>
      ) : (
        <p class="content">{memory.content}</p>
      )}
      <p class="facts">
        <span>{words.memories.said(day(memory.created_at))}</span>
        {memory.valid_until && <span>{words.memories.until(until(memory.valid_until))}</span>}
        {memory.replaced_by && <span>{words.memories.replaced}</span>}
      </p>
      {doing === "forgetting" && (
        <p class="asking">
          <span>
            {words.memories.forgetAsk} {source && words.memories.forgetTitle}
          </span>
          <button type="button" class="leave" onClick={onForget}>
            {words.memories.forgetYes}
          </button>
          <button ref={forgetting.shown} type="button" class="secondary" onClick={() => setDoing(null)}>
            {words.memories.keep}
          </button>
        </p>
      )}
      {doing === null && (
        <div class="actions">
          {source && (
            <button
              type="button"
              class="plain"
              disabled={busy}
              aria-label={`${words.memories.source}: ${memory.content}`}
              onClick={() => onMessage(source, memory.source_message_id)}
            >
              {words.memories.source}
            </button>
          )}
          <button
            ref={correcting.hidden}
            type="button"
            class="plain"
            aria-label={`${words.memories.correct}: ${memory.content}`}
            onClick={() => setDoing("correcting")}
          >
            {words.memories.correct}
          </button>
          <button
            ref={forgetting.hidden}
            type="button"
            class="plain"
            aria-label={`${words.memories.forget}: ${memory.content}`}
            onClick={() => setDoing("forgetting")}
          >
            {words.memories.forget}
          </button>
        </div>
      )}
    </li>
  );
}
