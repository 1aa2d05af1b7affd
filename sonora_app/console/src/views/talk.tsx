import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Missing } from "../app";
import type { Asked, Flow, Health, Transcript } from "../api";
import type { Call } from "../call/call";
import { devices } from "../call/microphone";
import { subjectOf } from "../call/token";
import { usePreference } from "../preferences";
import { type CallState, isOn } from "../state/model";
import type { ModelRequest } from "../state/requests";
import { type Language, useWords } from "../words";
import { Composer } from "./composer";
import { Ended } from "./ended";
import { Invitation } from "./invitation";
import { PartsNote, useParts } from "./parts";
import { Status } from "./status";
import { TraceView } from "./trace";
import { TranscriptView } from "./transcript";

interface Props {
  state: CallState;
  call: Call;
  past: Transcript | null;
  /** The turn to show of what was said earlier. */
  turn: number | null;
  /** Why the conversation that was asked for is not shown. */
  missing: Missing | null;
  flow: Asked<Flow>;
  /** The page's language. */
  shownIn: Language;
  health: Health | null;
  userId: string;
  onUserId: (userId: string) => void;
  onFresh: () => void;
  onResume: (id: string) => Promise<void>;
  onTrace: (id: string) => Promise<void>;
  onHealth: () => void;
  onDismiss: () => void;
  onBack: () => void;
  /** What the model was asked earlier, where that is kept. */
  requests: ModelRequest[];
  /** A label of what was said earlier has changed. */
  onLabelled: () => void;
}

/** Where one talks: before, during and after a call. */
export function Talk(props: Props) {
  const { state, call, past, health, userId } = props;
  const words = useWords();
  const [microphoneId, setMicrophoneId] = usePreference<string>("microphone", "");
  const [speakerId, setSpeakerId] = usePreference<string>("speaker", "");
  const [language, setLanguage] = usePreference<Language | "">("speaks", "");
  const [accessToken, setAccessToken] = useState("");
  // Asked anew for each visit: whoever sits here may be somebody else.
  const [recording, setRecording] = useState<boolean | null>(null);
  const verified = health?.identity === "verified";
  const audio = useDevices(state.phase);
  const on = isOn(state.phase);
  const parts = useParts(health);
  const section = useFocusKept(state);

  const start = (withMicrophone: boolean, conversationId = past?.conversation.id ?? null): void => {
    void call.speaker.choose(speakerId);
    void call.start({
      conversationId,
      userId: verified ? null : userId.trim() || "developer",
      accessToken: verified ? accessToken.trim() || null : null,
      // A new conversation speaks as the page does.
      language: language || (conversationId ? null : props.shownIn),
      microphoneId: audio.inputs.some((each) => each.deviceId === microphoneId) ? microphoneId : "",
      withMicrophone,
      recording,
    });
  };
  const pickers = (
    <Devices
      inputs={audio.inputs}
      outputs={call.speaker.canChoose ? audio.outputs : []}
      microphoneId={microphoneId}
      speakerId={speakerId}
      onMicrophone={(id) => {
        setMicrophoneId(id);
        void call.chooseMicrophone(id);
      }}
      onSpeaker={(id) => {
        setSpeakerId(id);
        void call.speaker.choose(id);
      }}
    />
  );

  return (
    <section
      class="talk"
      id="talk"
      ref={section}
      tabIndex={-1}
      aria-label={words.nav.talk}
      data-phase={state.phase}
    >
      {state.phase !== "idle" && (
        <Status
          state={state}
          call={call}
          records={health?.recording ?? false}
          language={props.shownIn}
        />
      )}
      {state.phase === "reconnecting" && state.ended && (
        <p class="why">{words.ended[state.ended.reason] ?? ""}</p>
      )}
      {state.notice && (
        <p class="notice" role="alert">
          <span>{state.notice.message}</span>
          <button type="button" class="plain" onClick={props.onDismiss}>
            {words.talk.dismiss}
          </button>
        </p>
      )}
      {state.phase !== "idle" && (
        <TranscriptView
          state={state}
          past={past?.messages ?? []}
          done={past?.tool_calls ?? []}
          supabase={health?.supabase ?? false}
        />
      )}
      {state.phase === "idle" && past && (
        <TraceView
          transcript={past}
          turn={props.turn}
          flow={props.flow}
          language={props.shownIn}
          requests={props.requests}
          onLabelled={props.onLabelled}
        />
      )}
      {state.phase === "idle" && props.missing && (
        <p class="notice" role="alert">
          {words.conversations[props.missing]}
        </p>
      )}
      {state.phase === "idle" && (
        <Invitation
          resumed={past}
          health={health}
          parts={parts}
          userId={userId}
          onUserId={props.onUserId}
          accessToken={accessToken}
          onAccessToken={(token) => {
            setAccessToken(token);
            props.onUserId(subjectOf(token) ?? userId);
          }}
          language={language}
          shownIn={props.shownIn}
          onLanguage={setLanguage}
          recording={recording}
          onRecording={setRecording}
          onStart={start}
          onHealth={props.onHealth}
        >
          {pickers}
        </Invitation>
      )}
      {on && parts && parts.stt.name !== "" && <PartsNote parts={parts} />}
      {on && <Composer state={state} call={call} pickers={pickers} />}
      {(state.phase === "ended" || state.phase === "failed") && (
        <Ended
          state={state}
          onFresh={props.onFresh}
          onBack={props.onBack}
          onResume={(id) =>
            void props.onResume(id).then(() => start(state.microphoneProblem !== "skipped", id))
          }
          onTrace={(id) => void props.onTrace(id)}
          onRetry={() => start(state.microphoneProblem !== "skipped")}
        />
      )}
    </section>
  );
}

/** Gives the focus to what can be done next, where what had it is gone with the phase before. */
function useFocusKept({ phase, microphoneProblem }: CallState): RefObject<HTMLElement | null> {
  const section = useRef<HTMLElement>(null);
  const before = useRef(phase);
  useEffect(() => {
    if (before.current === phase) return;
    before.current = phase;
    const has = document.activeElement;
    if (has !== document.body && has !== section.current) return;
    const typing = isOn(phase) && microphoneProblem !== null;
    const next = typing ? ".write input" : ".begin .primary";
    const found = section.current?.querySelector<HTMLElement>(next) ?? section.current;
    found?.focus({ preventScroll: true });
  }, [phase]);
  return section;
}

interface DevicesProps {
  inputs: MediaDeviceInfo[];
  outputs: MediaDeviceInfo[];
  microphoneId: string;
  speakerId: string;
  onMicrophone: (id: string) => void;
  onSpeaker: (id: string) => void;
}

function Devices(props: DevicesProps) {
  const words = useWords();
  return (
    <>
      <Picker
        label={words.talk.microphone}
        from={props.inputs}
        value={props.microphoneId}
        onChange={props.onMicrophone}
      />
      {props.outputs.length > 0 && (
        <Picker
          label={words.talk.speaker}
          from={props.outputs}
          value={props.speakerId}
          onChange={props.onSpeaker}
        />
      )}
    </>
  );
}

interface PickerProps {
  label: string;
  from: MediaDeviceInfo[];
  value: string;
  onChange: (id: string) => void;
}

function Picker({ label, from, value, onChange }: PickerProps) {
  const words = useWords();
  return (
    <label class="field">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">{words.talk.automatic}</option>
        {from
          .filter((device) => device.deviceId !== "default")
          .map((device) => (
            <option key={device.deviceId} value={device.deviceId}>
              {device.label}
            </option>
          ))}
      </select>
    </label>
  );
}

/** The devices there are. Their names are known once the user has allowed one. */
function useDevices(phase: string): { inputs: MediaDeviceInfo[]; outputs: MediaDeviceInfo[] } {
  const [found, setFound] = useState<{ inputs: MediaDeviceInfo[]; outputs: MediaDeviceInfo[] }>({
    inputs: [],
    outputs: [],
  });
  useEffect(() => {
    const look = async (): Promise<void> =>
      setFound({ inputs: await devices("audioinput"), outputs: await devices("audiooutput") });
    void look();
    navigator.mediaDevices?.addEventListener("devicechange", look);
    return () => navigator.mediaDevices?.removeEventListener("devicechange", look);
  }, [phase === "connecting"]);
  return found;
}
