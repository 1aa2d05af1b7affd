import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Call } from "../call/call";
import { ACCEPTED, MAX_FILE_BYTES, MAX_FILES } from "../call/files";
import { useCloseOnEscape } from "../focus";
import type { CallState } from "../state/model";
import { useWords } from "../words";

/** The longest message, in characters. */
const MAX_TEXT = 4000;

interface Props {
  state: CallState;
  call: Call;
  pickers: ComponentChildren;
}

/** What one can do during a call. */
export function Composer({ state, call, pickers }: Props) {
  const words = useWords();
  const [text, setText] = useState("");
  const [files, setFiles] = useState<File[]>([]);
  const [problem, setProblem] = useState("");
  const [joined, setJoined] = useState(false);
  const [over, setOver] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const devices = useCloseOnEscape();
  const live = state.phase === "live" && !state.ended;
  const send = (event: Event): void => {
    event.preventDefault();
    const typed = text.trim();
    if (!live || (!typed && files.length === 0)) return;
    setText("");
    setFiles([]);
    setProblem("");
    setJoined(false);
    void (files.length > 0 ? call.show(typed, files) : call.type(typed));
  };
  const add = (added: Iterable<File>): void => {
    const { taken, refused } = checked([...files], [...added], words);
    setFiles(taken);
    setProblem(refused);
  };
  return (
    <div
      class={`composer${over ? " over" : ""}`}
      onDragOver={(event) => {
        if (!live || !event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        setOver(false);
        if (!live || !event.dataTransfer?.files.length) return;
        event.preventDefault();
        add(event.dataTransfer.files);
      }}
    >
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
      {over && <p class="hint">{words.files.drop}</p>}
      {problem && (
        <p class="hint" role="alert">
          {problem}
        </p>
      )}
      {state.camera === "blocked" && (
        <p class="hint" role="alert">
          {words.files.cameraBlocked}
        </p>
      )}
      {files.length > 0 && (
        <Pending files={files} onRemove={(file) => setFiles(files.filter((each) => each !== file))} />
      )}
      {text.length >= MAX_TEXT ? (
        <p class="hint" role="alert">
          {words.talk.tooLong}
        </p>
      ) : (
        joined && (
          <p class="hint" role="status">
            {words.talk.linesJoined}
          </p>
        )
      )}
      <form class="write" onSubmit={send}>
        <input
          value={text}
          maxLength={MAX_TEXT}
          autocomplete="off"
          aria-label={words.talk.write}
          placeholder={words.talk.write}
          onInput={(event) => {
            setText(event.currentTarget.value);
            if (event.inputType !== "insertFromPaste") setJoined(false);
          }}
          onPaste={(event) => {
            setJoined(/\S\s*\n\s*\S/.test(event.clipboardData?.getData("text") ?? ""));
            const pasted = event.clipboardData?.files;
            if (!live || !pasted?.length) return;
            event.preventDefault();
            add(pasted);
          }}
        />
        <input
          ref={picker}
          hidden
          type="file"
          multiple
          accept={ACCEPTED}
          tabIndex={-1}
          aria-label={words.files.attach}
          onChange={(event) => {
            add(event.currentTarget.files ?? []);
            event.currentTarget.value = "";
          }}
        />
        <button
          type="button"
          class="secondary"
          disabled={!live}
          title={words.files.attach}
          onClick={() => picker.current?.click()}
        >
          {words.files.attachShort}
        </button>
        <button
          type="submit"
          class="secondary"
          disabled={!live || (!text.trim() && files.length === 0)}
        >
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
        {live && (
          <button
            type="button"
            class="secondary"
            aria-pressed={state.camera === "on"}
            aria-label={state.camera === "on" ? words.files.cameraOff : words.files.cameraOn}
            title={words.files.cameraHint}
            onClick={() => void call.useCamera(state.camera !== "on")}
          >
            {words.files.camera}
          </button>
        )}
        {state.camera === "on" && <Seen call={call} />}
        <details class="devices" ref={devices}>
          <summary class="secondary">{words.talk.devices}</summary>
          <div class="fields">{pickers}</div>
        </details>
        <div class={live ? "ending" : "ending short"}>
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
    </div>
  );
}

/** What will be sent with the message that is being written. */
function Pending({ files, onRemove }: { files: File[]; onRemove: (file: File) => void }) {
  const words = useWords();
  return (
    <ul class="files pending" aria-label={words.files.pending}>
      {files.map((file, index) => (
        <li key={`${index}-${file.name}`}>
          <span class="document">{file.name}</span>
          <button
            type="button"
            class="plain"
            aria-label={words.files.remove(file.name)}
            onClick={() => onRemove(file)}
          >
            ×
          </button>
        </li>
      ))}
    </ul>
  );
}

/** What the bot may see, for the person to see it too. */
function Seen({ call }: { call: Call }) {
  const words = useWords();
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (!video.current) return;
    video.current.srcObject = call.camera.seen ?? null;
    void video.current.play().catch(() => undefined);
  }, [call]);
  return (
    <figure class="seen">
      <video ref={video} muted playsInline aria-label={words.files.seen} />
      <figcaption>
        <span role="status">{words.files.cameraIsOn}</span>
      </figcaption>
    </figure>
  );
}

/** Those of the added files that can be sent, after the others, and why some cannot. */
function checked(
  taken: File[],
  added: File[],
  words: ReturnType<typeof useWords>,
): { taken: File[]; refused: string } {
  let refused = "";
  for (const file of added) {
    if (file.size > MAX_FILE_BYTES) {
      refused = words.files.tooLarge(file.name, MAX_FILE_BYTES / 1_000_000);
    } else if (file.size === 0) {
      refused = words.files.empty(file.name);
    } else if (taken.length >= MAX_FILES) {
      refused = words.files.tooMany(MAX_FILES);
    } else {
      taken.push(file);
    }
  }
  return { taken, refused };
}
