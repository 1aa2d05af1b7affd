import { useState } from "preact/hooks";
import { ApiError, type Asked, api, type Listing } from "../api";
import { download } from "../download";
import { useWords } from "../words";

interface Props {
  listings: Asked<Listing[]>;
  userId: string;
  onlyMine: boolean;
  onOnlyMine: (onlyMine: boolean) => void;
  current: string | null;
  busy: boolean;
  onSelect: (id: string) => void;
  onFresh: () => void;
  onChanged: (removed: string) => void;
  language: string;
}

/** What was talked about before. */
export function Conversations(props: Props) {
  const { listings, userId } = props;
  const words = useWords();
  return (
    <aside class="conversations" aria-labelledby="conversations-title">
      <div class="heading">
        <h2 id="conversations-title">{words.conversations.title}</h2>
        <button
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
      {listings === null && <p class="nothing">{words.conversations.failed}</p>}
      {listings?.length === 0 && (
        <p class="nothing">
          {props.onlyMine ? words.conversations.noneOf(userId) : words.conversations.none}
        </p>
      )}
      <ul class="listings">
        {listings?.map((listing) => (
          <Item key={listing.id} listing={listing} {...props} />
        ))}
      </ul>
    </aside>
  );
}

function Item({ listing, current, busy, onSelect, onChanged, language }: Props & { listing: Listing }) {
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
        onClick={() => onSelect(listing.id)}
      >
        <span class="title">{title}</span>
        <span class="facts">
          <span>{when(listing.last_message_at ?? listing.created_at, language)}</span>
          <span>{words.conversations.messages(listing.messages)}</span>
          <span class={`state ${listing.status}`}>
            {words.conversations.status[listing.status] ?? listing.status}
          </span>
          {listing.user_id && <span class="user">{listing.user_id}</span>}
        </span>
      </button>
      {chosen && !busy && <Actions listing={listing} title={title} onChanged={onChanged} />}
    </li>
  );
}

interface ActionsProps {
  listing: Listing;
  title: string;
  onChanged: (removed: string) => void;
}

function Actions({ listing, title, onChanged }: ActionsProps) {
  const words = useWords();
  const [asking, setAsking] = useState(false);
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
            onClick={() =>
              void attempt(api.remove(listing.id).then(() => onChanged(listing.id)))
            }
          >
            {words.conversations.removeYes}
          </button>
          <button type="button" class="secondary" onClick={() => setAsking(false)}>
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
              void attempt(api.markdown(listing.id).then((text) => download(`${name}.md`, text)))
            }
          >
            Markdown
          </button>
          <button
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
