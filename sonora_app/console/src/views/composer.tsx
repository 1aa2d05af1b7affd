import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Call } from "../call/call";
import type { CallState } from "../state/model";
import { useWords } from "../words";

interface Props {
  state: CallState;
  call: Call;
  pickers: ComponentChildren;
}

/** What one can do during a call. */
export function Composer({ state, call, pickers }: Props) {
  const words = useWords();
  const [text, setText] = useState("");
  const live = state.phase === "live" && !state.ended;
  const send = (event: Event): void => {
    event.preventDefault();
    const typed = text.trim();
    if (!typed || !live) return;
    setText("");
    void call.type(typed);
  };
  return (
    <div class="composer">
      {state.phase === "microphone" && (
        <p class="hint">
          {words.phase.microphoneHint}{" "}
          <button type="button" class="plain" onClick={() => call.microphone.giveUp()}>
            {words.talk.withoutMicrophone}
          </button>
        </p>
      )}
      {state.microphoneProblem && state.phase !== "microphone" && (
        <p class="hint">{words.microphone[state.microphoneProblem]}</p>
      )}
      <form class="write" onSubmit={send}>
        <input
          value={text}
          maxLength={4000}
          autocomplete="off"
          aria-label={words.talk.write}
          placeholder={words.talk.write}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit" class="secondary" disabled={!live || !text.trim()}>
          {words.talk.send}
        </button>
      </form>
      <div class="controls">
        {state.microphone !== "off" && (
          <button
            type="button"
            class="secondary"
            aria-pressed={state.microphone === "muted"}
            onClick={() => call.mute(state.microphone !== "muted")}
          >
            {state.microphone === "muted" ? words.talk.unmute : words.talk.mute}
          </button>
        )}
        <details class="devices">
          <summary class="secondary">{words.talk.devices}</summary>
          <div class="fields">{pickers}</div>
        </details>
        <span class="gap" />
        {live && (
          <button
            type="button"
            class="secondary"
            title={words.talk.windUpHint}
            onClick={() => call.windUp()}
          >
            {words.talk.windUp}
          </button>
        )}
        <button type="button" class="leave" onClick={() => void call.hangUp()}>
          {words.talk.hangUp}
        </button>
      </div>
    </div>
  );
}
