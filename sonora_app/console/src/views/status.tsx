import type { Call } from "../call/call";
import type { CallState } from "../state/model";
import { useUsed } from "../state/used";
import { useWords, type Words } from "../words";
import { Meter } from "./meter";
import { cost, tokens } from "./trace";

interface Props {
  state: CallState;
  call: Call;
  /** Whether the bot keeps the sound of calls, of those who agree. */
  records: boolean;
  language: string;
}

/** What is happening now, in a word, how loud it is, and what the call used so far. */
export function Status({ state, call, records, language }: Props) {
  const words = useWords();
  const used = useUsed(state);
  const doing = activity(state);
  return (
    <div class="status" data-activity={doing}>
      <p class="doing" role="status">
        <span class="dot" aria-hidden="true" />
        {words.phase[doing]}
      </p>
      {state.node && state.phase === "live" && <p class="node">{state.node}</p>}
      {state.recording && state.phase === "live" && <p class="recorded">{words.talk.recorded}</p>}
      {records && state.phase === "live" && !state.ended && (
        <button type="button" class="plain" onClick={() => void call.record(!state.recording)}>
          {state.recording ? words.talk.stopRecording : words.talk.record}
        </button>
      )}
      {state.putBack && state.phase === "live" && <p class="node">{words.talk.putBack}</p>}
      {state.phase === "live" && (
        <div class="meters">
          {state.microphone !== "off" && (
            <Meter label={words.talk.you} level={call.microphone.level} />
          )}
          <Meter label={words.talk.bot} level={call.speaker.level} />
        </div>
      )}
      {used && (
        <p class="used">
          {/* They are counted at an answer's end. */}
          {!!used.prompt_tokens && (
            <span>{tokens(used.prompt_tokens, used.completion_tokens, words, language)}</span>
          )}
          <span>
            {words.trace.cost}: {cost([used.cost], words, language)}
          </span>
        </p>
      )}
    </div>
  );
}

/** The word of `Words.phase` for what is going on. */
export function activity(state: CallState): keyof Words["phase"] {
  if (state.phase !== "live") return state.phase;
  if (state.ended) return "ending";
  if (state.botSpeaking) return "speaking";
  if (state.userSpeaking) return "hearing";
  if (state.thinking) return "thinking";
  if (state.microphone === "muted") return "muted";
  return state.microphone === "off" ? "typing" : "listening";
}
