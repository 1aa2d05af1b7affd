import { useRef, useState } from "preact/hooks";
import { ApiError, api, type Listing } from "../api";
import { download } from "../download";
import { useFocusSwap } from "../focus";
import { type Listed, NOTHING_WANTED, PAGE } from "../state/listings";
import { useWords } from "../words";
import { LabelNames } from "./labels";

interface Props {
  listed: Listed;
  userId: string;
  onlyMine: boolean;
  onOnlyMine: (onlyMine: boolean) => void;
  current: string | null;
  busy: boolean;
  /** A conversation is chosen, and the message of it to show. */
  onSelect: (id: string, messageId: string | null) => void;
  onFresh: () => void;
  onErase: (id: string) => Promise<void>;
  language: string;
}

/** What was talked about before. */
export function Conversations(props: Props) {
  const { listed, userId } = props;
  const { page } = listed;
  const words = useWords();
  const fresh = useRef<HTMLButtonElement>(null);
  return (
    <aside class="conversations" aria-labelledby="conversations-title">
      <div class="heading">
        <h2 id="conversations-title">{words.conversations.title}</h2>
        <button
          ref={fresh}
          type="button"
          class="secondary"
          disabled={props.busy}
          aria-label={words.conversations.freshLabel}
          onClick={props.onFresh}
        >
          {words.conversations.fresh}
        </button>
      </div>
      <label class="check">
        <input
          type="checkbox"
          checked={props.onlyMine}
          onChange={(event) => props.onOnlyMine(event.currentTarget.checked)}
        />
        <span>{words.conversations.mine(userId)}</span>
      </label>
      <Search listed={listed} />
      {page === null && <p class="nothing">{words.conversations.failed}</p>}
      {page?.conversations.length === 0 && (
        <p class="nothing">
          {isWanting(listed)
            ? words.conversations.noneFound
            : props.onlyMine
              ? words.conversations.noneOf(userId)
              : words.conversations.none}
        </p>
      )}
      <ul class="listings">
        {page?.conversations.map((listing) => (
          <Item
            key={listing.id}
            listing={listing}
            {...props}
            onErase={async (id) => {
              await props.onErase(id);
              fresh.current?.focus();
            }}
          />
        ))}
      </ul>
      {page && page.total > 0 && <Pages listed={listed} total={page.total} language={props.language} />}
    </aside>
  );
}

function isWanting({ wanted }: Listed): boolean {
  return Object.values(wanted).some(Boolean);
}

const STATUSES = ["active", "completed", "abandoned", "failed"];

/** What is looked for. */
function Search({ listed }: { listed: Listed }) {
  const words = useWords();
  const { wanted, want } = listed;
  const { text, ...filters } = wanted;
  const set = Object.values(filters).filter(Boolean).length;
  const filter = (more: Partial<typeof wanted>): void => want({ ...wanted, ...more });
  return (
    <search class="search">
      <input
        type="search"
        aria-label={words.conversations.search}
        placeholder={words.conversations.search}
        value={text}
        maxLength={200}
        onInput={(event) => filter({ text: event.currentTarget.value })}
      />
      <details>
        <summary>{words.conversations.filters(set)}</summary>
        <div class="filters">
          <label class="field">
            <span>{words.conversations.statusLabel}</span>
            <select
              value={wanted.status}
              onChange={(event) => filter({ status: event.currentTarget.value })}
            >
              <option value="">{words.conversations.anyStatus}</option>
              {STATUSES.map((status) => (
                <option key={status} value={status}>
                  {words.conversations.status[status]}
                </option>
              ))}
            </select>
          </label>
          <label class="field">
            <span>{words.conversations.since}</span>
            <input
              type="date"
              value={wanted.since}
              onChange={(event) => filter({ since: event.currentTarget.value })}
            />
          </label>
          <label class="field">
            <span>{words.conversations.until}</span>
            <input
              type="date"
              value={wanted.until}
              onChange={(event) => filter({ until: event.currentTarget.value })}
            />
          </label>
          <label class="check">
            <input
              type="checkbox"
              checked={wanted.failed}
              onChange={(event) => filter({ failed: event.currentTarget.checked })}
            />
            <span>{words.conversations.withFailures}</span>
          </label>
          <label class="check">
            <input
              type="checkbox"
              checked={wanted.slow}
              onChange={(event) => filter({ slow: event.currentTarget.checked })}
            />
            <span>{words.conversations.slow}</span>
          </label>
          <label class="check">
            <input
              type="checkbox"
              checked={wanted.cut}
              onChange={(event) => filter({ cut: event.currentTarget.checked })}
            />
            <span>{words.conversations.cut}</span>
          </label>
          <label class="field">
            <span>{words.conversations.ended}</span>
            <select
              value={wanted.ended}
              onChange={(event) => filter({ ended: event.currentTarget.value })}
            >
              <option value="">{words.conversations.anyStatus}</option>
              {Object.entries(words.trace.ends).map(([reason, told]) => (
                <option key={reason} value={reason}>
                  {told}
                </option>
              ))}
            </select>
          </label>
          <label class="field">
            <span>{words.conversations.outcome}</span>
            <OutcomeInput
              value={wanted.outcome}
              onChange={(outcome) => filter({ outcome })}
            />
            <datalist id="outcomes-listed">
              {Object.entries(words.trace.outcomes).map(([outcome, told]) => (
                <option key={outcome} value={told} />
              ))}
            </datalist>
          </label>
          <Behind wanted={wanted} />
          <label class="field">
            <span>{words.labels.filter}</span>
            <input
              type="search"
              list="labels-listed"
              maxLength={60}
              value={wanted.label}
              onInput={(event) => filter({ label: event.currentTarget.value })}
            />
          </label>
          <LabelNames
            id="labels-listed"
            used={listed.page?.conversations.flatMap((each) => each.labels) ?? []}
          />
          {set > 0 && (
            <button
              type="button"
              class="plain"
              onClick={() => want({ ...NOTHING_WANTED, text })}
            >
              {words.conversations.noFilters}
            </button>
          )}
        </div>
      </details>
    </search>
  );
}

interface OutcomeInputProps {
  value: string;
  onChange: (outcome: string) => void;
}

/** An outcome in the words that it is told in. What is typed is kept, whatever is loaded meanwhile. */
function OutcomeInput({ value, onChange }: OutcomeInputProps) {
  const { outcomes } = useWords().trace;
  const [typed, setTyped] = useState<string | null>(null);
  return (
    <input
      type="text"
      list="outcomes-listed"
      maxLength={40}
      value={typed ?? outcomes[value] ?? value}
      onInput={(event) => setTyped(event.currentTarget.value)}
      onChange={(event) => onChange(meant(event.currentTarget.value, outcomes))}
      onBlur={() => setTyped(null)}
    />
  );
}

/** The outcome as it is kept, of which somebody wrote the words; of a flow of one's own, what they wrote. */
function meant(text: string, outcomes: Record<string, string>): string {
  const said = text.trim().toLowerCase();
  return Object.keys(outcomes).find((each) => outcomes[each] === said) ?? text.trim();
}

/** Of which calls the conversations are, where a figure led here. */
function Behind({ wanted }: { wanted: Listed["wanted"] }) {
  const words = useWords();
  const { begun_since, begun_until, failure, version, flow } = wanted;
  const told = [
    (begun_since || begun_until) &&
      `${words.figures.calls}: ${begun_since.slice(0, 10)} – ${begun_until.slice(0, 10)}`,
    failure && (words.figures.failures[failure] ?? failure),
    version && `${words.figures.grouped.version}: ${version}`,
    flow && `${words.figures.grouped.flow}: ${flow}`,
  ].filter(Boolean);
  return told.length > 0 ? <p class="hint">{told.join(" · ")}</p> : null;
}

/** Which of them are shown, and how many there are. */
function Pages({ listed, total, language }: { listed: Listed; total: number; language: string }) {
  const words = useWords();
  const { offset, turn } = listed;
  const last = Math.min(offset + PAGE, total);
  const number = (value: number): string => value.toLocaleString(language);
  return (
    <div class="pages">
      <p role="status">
        {words.conversations.shown(number(Math.min(offset + 1, total)), number(last), number(total))}
      </p>
      {total > PAGE && (
        <>
          <button
            type="button"
            class="secondary"
            disabled={offset === 0}
            aria-label={words.conversations.newer}
            onClick={() => turn(Math.max(0, offset - PAGE))}
          >
            ←
          </button>
          <button
            type="button"
            class="secondary"
            disabled={last >= total}
            aria-label={words.conversations.older}
            onClick={() => turn(offset + PAGE)}
          >
            →
          </button>
        </>
      )}
    </div>
  );
}

function Item({ listing, current, busy, onSelect, onErase, language }: Props & { listing: Listing }) {
  const words = useWords();
  const chosen = listing.id === current;
  const title = listing.title ?? words.conversations.untitled;
  return (
    <li class={chosen ? "chosen" : ""}>
      <button
        type="button"
        class="listing"
        disabled={busy}
        aria-current={chosen ? "true" : undefined}
        onClick={() => onSelect(listing.id, listing.hit?.message_id ?? null)}
      >
        <span class="title">{title}</span>
        {listing.hit?.message_id && <span class="hit">{listing.hit.words}</span>}
        <span class="facts">
          <span>{when(listing.last_message_at ?? listing.created_at, language)}</span>
          <span>{words.conversations.messages(listing.messages)}</span>
          {listing.calling ? (
            <span class="state calling">{words.conversations.calling}</span>
          ) : (
            <span class={`state ${listing.status}`}>
              {words.conversations.status[listing.status] ?? listing.status}
            </span>
          )}
          {listing.user_id && <span class="user">{listing.user_id}</span>}
          {listing.labels.map((name) => (
            <span key={name} class="tag">
              {name}
            </span>
          ))}
        </span>
      </button>
      {chosen && !busy && (
        <Actions listing={listing} title={title} onErase={onErase} language={language} />
      )}
    </li>
  );
}

interface ActionsProps {
  listing: Listing;
  title: string;
  onErase: (id: string) => Promise<void>;
  language: string;
}

function Actions({ listing, title, onErase, language }: ActionsProps) {
  const words = useWords();
  const [asking, setAsking] = useState(false);
  const { shown: keep, hidden: remove } = useFocusSwap<HTMLButtonElement, HTMLButtonElement>(asking);
  const [problem, setProblem] = useState("");
  const attempt = (doing: Promise<unknown>): Promise<void> =>
    doing.then(
      () => setProblem(""),
      (error) =>
        setProblem(error instanceof ApiError && error.message ? error.message : words.offline),
    );
  const name = `sonora-${listing.id}`;
  return (
    <div class="actions">
      {asking ? (
        <p class="asking">
          <span>{words.conversations.removeAsk}</span>
          <button
            type="button"
            class="leave"
            onClick={() => void attempt(onErase(listing.id))}
          >
            {words.conversations.removeYes}
          </button>
          <button ref={keep} type="button" class="secondary" onClick={() => setAsking(false)}>
            {words.conversations.keep}
          </button>
        </p>
      ) : (
        <>
          <button
            type="button"
            class="plain"
            aria-label={words.conversations.exportJson}
            onClick={() =>
              void attempt(
                api
                  .transcript(listing.id)
                  .then((all) => download(`${name}.json`, JSON.stringify(all, null, 2))),
              )
            }
          >
            JSON
          </button>
          <button
            type="button"
            class="plain"
            aria-label={words.conversations.exportMarkdown}
            onClick={() =>
              void attempt(
                api
                  .markdown(listing.id, language)
                  .then((text) => download(`${name}.md`, text)),
              )
            }
          >
            Markdown
          </button>
          <button
            ref={remove}
            type="button"
            class="plain"
            aria-label={`${words.conversations.remove}: ${title}`}
            onClick={() => setAsking(true)}
          >
            {words.conversations.remove}
          </button>
        </>
      )}
      {problem && (
        <p class="detail" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

/** A moment as one would name it: minutes or hours ago, then the date. */
function when(iso: string, language: string): string {
  const moment = new Date(iso);
  const minutes = Math.round((moment.getTime() - Date.now()) / 60_000);
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
  if (minutes > -60) return relative.format(minutes, "minute");
  if (minutes > -24 * 60) return relative.format(Math.round(minutes / 60), "hour");
  return moment.toLocaleDateString(language, { day: "numeric", month: "short" });
}
