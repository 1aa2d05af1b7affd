import type { ComponentChildren } from "preact";
import type { Health, Parts, Transcript } from "../api";
import { type Language, useWords } from "../words";
import { PartsNote } from "./parts";

interface Props {
  resumed: Transcript | null;
  health: Health | null;
  parts: Parts | null;
  userId: string;
  onUserId: (userId: string) => void;
  accessToken: string;
  onAccessToken: (token: string) => void;
  language: Language | "";
  /** The page's language. */
  shownIn: Language;
  onLanguage: (language: Language | "") => void;
  /** Whether the person agrees; null: they have not said. */
  recording: boolean | null;
  onRecording: (recording: boolean) => void;
  onStart: (withMicrophone: boolean) => void;
  onHealth: () => void;
  children: ComponentChildren;
}

const NAMES: Record<string, string> = { es: "Español", en: "English" };

/** Before a call: who talks, how, and the button that begins it. */
export function Invitation(props: Props) {
  const { resumed, health } = props;
  const words = useWords();
  return (
    <section class={resumed ? "invitation resuming" : "invitation"}>
      <h2>{resumed ? words.talk.resumeTitle : words.talk.title}</h2>
      <p class="lead">{resumed ? words.talk.resumeLead : words.talk.lead}</p>
      <div class="begin">
        <button type="button" class="primary" onClick={() => props.onStart(true)}>
          {resumed ? words.talk.resume : words.talk.start}
        </button>
        <button type="button" class="plain" onClick={() => props.onStart(false)}>
          {words.talk.typeOnly}
        </button>
      </div>
      {props.parts && <PartsNote parts={props.parts} onHealth={props.onHealth} />}
      <Choices folded={resumed !== null} label={words.talk.options}>
        {health?.identity === "verified" ? (
          <div class="whole">
            <label class="field">
              <span>{words.talk.token}</span>
              <input
                type="password"
                value={props.accessToken}
                maxLength={8192}
                spellcheck={false}
                autocomplete="off"
                aria-describedby="token-hint"
                onInput={(event) => props.onAccessToken(event.currentTarget.value)}
              />
            </label>
            <p class="hint" id="token-hint">
              {words.talk.tokenHint}
            </p>
          </div>
        ) : (
          <label class="field">
            <span>{words.talk.user}</span>
            <input
              value={props.userId}
              maxLength={200}
              spellcheck={false}
              autocomplete="off"
              title={words.talk.userHint}
              onInput={(event) => props.onUserId(event.currentTarget.value)}
            />
          </label>
        )}
        <label class="field">
          <span>{words.talk.speaks}</span>
          <select
            value={props.language}
            onChange={(event) => props.onLanguage(event.currentTarget.value as Language | "")}
          >
            <option value="">
              {resumed ? words.talk.speaksBefore : words.talk.speaksPage(NAMES[props.shownIn] ?? "")}
            </option>
            <option value="es">{NAMES.es}</option>
            <option value="en">{NAMES.en}</option>
          </select>
        </label>
        {health?.recording && (
          <label class="check whole">
            <input
              type="checkbox"
              checked={props.recording ?? false}
              onChange={(event) => props.onRecording(event.currentTarget.checked)}
            />
            <span>{words.talk.recording}</span>
          </label>
        )}
        {props.children}
      </Choices>
    </section>
  );
}

interface ChoicesProps {
  folded: boolean;
  label: string;
  children: ComponentChildren;
}

/** What one may choose before a call; folded away where the history needs the room. */
function Choices({ folded, label, children }: ChoicesProps) {
  const fields = <div class="fields">{children}</div>;
  if (!folded) return fields;
  return (
    <details class="choices">
      <summary>{label}</summary>
      {fields}
    </details>
  );
}
