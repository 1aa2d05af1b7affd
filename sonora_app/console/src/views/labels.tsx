import { useState } from "preact/hooks";
import { ApiError, api, type StoredLabel } from "../api";
import { useWords } from "../words";

/** Where a label stands: at a turn, at a call, or with neither at the conversation. */
export interface LabelPlace {
  session_id?: string | null;
  message_id?: string | null;
}

interface Props {
  conversationId: string;
  place: LabelPlace;
  /** The place in words, for who does not see it. */
  at: string;
  labels: StoredLabel[];
  onLabelled: () => void;
}

/** The names that labels may have: those that are used here, and some to begin with. */
export function LabelNames({ id, used }: { id: string; used: string[] }) {
  const words = useWords();
  return (
    <datalist id={id}>
      {[...new Set([...used, ...words.labels.suggested])].map((name) => (
        <option key={name} value={name} />
      ))}
    </datalist>
  );
}

/** The labels of one place, and the way to give, change and remove them. */
export function Labels({ conversationId, place, at, labels, onLabelled }: Props) {
  const words = useWords();
  const [editing, setEditing] = useState<StoredLabel | "new" | null>(null);
  const [problem, setProblem] = useState("");
  const here = labels.filter((label) => stands(label, place));
  const attempt = (doing: Promise<unknown>): Promise<void> =>
    doing.then(
      () => {
        setProblem("");
        setEditing(null);
        onLabelled();
      },
      (error) =>
        setProblem(error instanceof ApiError && error.message ? error.message : words.offline),
    );
  const former = editing === "new" ? null : editing;
  return (
    <div class="labels">
      <ul class="tags">
        {here.map((label) => (
          <li key={label.id}>
            <button
              type="button"
              class="tag"
              aria-label={words.labels.change(label.name, at)}
              aria-expanded={former?.id === label.id}
              onClick={() => setEditing(former?.id === label.id ? null : label)}
            >
              {label.name}
            </button>
            {label.note && <span>{label.note}</span>}
          </li>
        ))}
        <li>
          <button
            type="button"
            class="plain"
            aria-label={words.labels.giveAt(at)}
            aria-expanded={editing === "new"}
            onClick={() => setEditing(editing === "new" ? null : "new")}
          >
            {words.labels.give}
          </button>
        </li>
      </ul>
      {editing && (
        <LabelForm
          key={former?.id ?? "new"}
          former={former}
          onSave={(name, note) =>
            void attempt(
              former
                ? api.changeLabel(conversationId, former.id, name, note)
                : api.label(conversationId, { ...place, name, note }),
            )
          }
          onRemove={() => former && void attempt(api.removeLabel(conversationId, former.id))}
          onLeave={() => setEditing(null)}
        />
      )}
      {problem && (
        <p class="detail" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

interface FormProps {
  former: StoredLabel | null;
  onSave: (name: string, note: string) => void;
  onRemove: () => void;
  onLeave: () => void;
}

function LabelForm({ former, onSave, onRemove, onLeave }: FormProps) {
  const words = useWords();
  const [name, setName] = useState(former?.name ?? "");
  const [note, setNote] = useState(former?.note ?? "");
  return (
    <form
      class="labelling"
      onSubmit={(event) => {
        event.preventDefault();
        onSave(name, note);
      }}
      onKeyDown={(event) => event.key === "Escape" && onLeave()}
    >
      <label class="field">
        <span>{words.labels.name}</span>
        <input
          type="text"
          list="label-names"
          maxLength={60}
          required
          pattern=".*\S.*"
          value={name}
          ref={focusOnce}
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </label>
      <label class="field">
        <span>{words.labels.note}</span>
        <input
          type="text"
          maxLength={2000}
          value={note}
          onInput={(event) => setNote(event.currentTarget.value)}
        />
      </label>
      <p class="links">
        <button type="submit" class="secondary">
          {words.labels.save}
        </button>
        {former && (
          <button type="button" class="leave" onClick={onRemove}>
            {words.labels.remove}
          </button>
        )}
        <button type="button" class="plain" onClick={onLeave}>
          {words.labels.leave}
        </button>
      </p>
    </form>
  );
}

/** Whoever opens a form wants to write in it, and to see all of it. */
function focusOnce(input: HTMLInputElement | null): void {
  if (input && !input.dataset.shown) {
    input.dataset.shown = "yes";
    input.focus();
    input.form?.scrollIntoView({ block: "nearest" });
  }
}

function stands(label: StoredLabel, place: LabelPlace): boolean {
  if (label.message_id || place.message_id) return label.message_id === place.message_id;
  return (label.session_id ?? null) === (place.session_id ?? null);
}
