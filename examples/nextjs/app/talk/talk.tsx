"use client";

import { PipecatClientAudio, PipecatClientProvider } from "@pipecat-ai/client-react";
import { useEffect, useRef, useState, type ChangeEvent, type FormEvent } from "react";

import type { Remedy } from "@/sonora/errors";
import { Remembered } from "./remembered";
import { getSonora, useCall, type Sonora } from "./use-sonora";
import { Voice } from "./voice";

const ADVICE: Record<Remedy, string> = {
  retry: "Try again in a moment.",
  call_again: "Start another call: the conversation goes on where it was.",
  new_conversation: "Start a new conversation.",
  sign_in: "Sign in again.",
  wait: "",
  other_file: "Choose another file.",
  report: "Tell us what you did.",
};

export function Talk({ conversationId }: { conversationId: string | null }) {
  // Made in the browser only: on the server there is neither a microphone nor WebRTC.
  const [sonora, setSonora] = useState<Sonora>();
  useEffect(() => {
    setSonora(getSonora());
    return () => void getSonora().call.hangUp();
  }, []);
  if (!sonora) return null;
  return (
    <PipecatClientProvider client={sonora.client}>
      <Conversation sonora={sonora} conversationId={conversationId} />
      <PipecatClientAudio />
    </PipecatClientProvider>
  );
}

function Conversation({ sonora, conversationId }: { sonora: Sonora; conversationId: string | null }) {
  const { call, client } = sonora;
  const state = useCall(call);
  const [text, setText] = useState("");
  const [refused, setRefused] = useState("");
  // Null: the user has not said. The bot asks then, if it records calls at all.
  const [recording, setRecording] = useState<boolean | null>(null);
  const quiet = ["idle", "ended", "failed"].includes(state.phase);
  // Kept in the state and not in the address alone: a dropped call goes on with it.
  const resumable = state.conversationId ?? conversationId;

  const begin = (id: string | null) =>
    void call.start(id, { recording }).catch(() => undefined); // see `problem`

  async function send(event: FormEvent) {
    event.preventDefault();
    try {
      await call.sendText(text);
      setText("");
      setRefused("");
    } catch (error) {
      setRefused((error as Error).message);
    }
  }

  async function sendFiles(event: ChangeEvent<HTMLInputElement>) {
    const files = [...(event.target.files ?? [])];
    event.target.value = ""; // the same file may be chosen again
    try {
      await call.sendFiles(text, files);
      setText("");
      setRefused("");
    } catch (error) {
      setRefused((error as Error).message);
    }
  }

  const changeRecording = () =>
    void call.setRecording(!state.recording).then(
      () => setRefused(""),
      (error: Error) => setRefused(error.message),
    );

  return (
    <main>
      <p role="status">
        {state.phase}
        {state.node && ` · ${state.node}`}
        {state.putBack && " · goes on where it was"}
        {state.phase === "open" && state.recording && " · being recorded"}
        {state.storage !== "ok" && " · saving is delayed"}
        {client.mediaState.mic.state === "error" && " · no microphone: type instead"}
      </p>
      {state.problem && (
        <p role="alert">
          {state.problem.message} {ADVICE[state.problem.remedy]}
        </p>
      )}
      {state.notice && <p>{state.notice.message}</p>}
      {state.end?.reason === "taken_over" && <p>This conversation goes on in another tab or device.</p>}
      {state.end?.summary && <p>{state.end.summary}</p>}

      <ol>
        {state.lines.map((line) => (
          <li
            key={line.key}
            lang={line.language ?? undefined}
            data-role={line.role}
            data-state={line.state}
          >
            {line.heard}
            {/* What is still to be said, or may still change. */}
            {line.heard !== line.text && <em>{line.text.slice(line.heard.length)}</em>}
          </li>
        ))}
      </ol>

      {quiet ? (
        <>
          <label>
            <input
              type="checkbox"
              checked={recording ?? false}
              onChange={(event) => setRecording(event.target.checked)}
            />
            I agree that this call is recorded
          </label>
          <button onClick={() => begin(null)}>New conversation</button>
          {resumable && <button onClick={() => begin(resumable)}>Go on</button>}
        </>
      ) : (
        <>
          <form onSubmit={(event) => void send(event)}>
            <input
              value={text}
              onChange={(event) => setText(event.target.value)}
              maxLength={4000}
              aria-label="Message"
            />
            <button disabled={state.phase !== "open" || !text.trim()}>Send</button>
            <input
              type="file"
              multiple
              accept="image/jpeg,image/png,image/webp,application/pdf,.docx,.txt,.md"
              disabled={state.phase !== "open"}
              aria-label="Send pictures or documents"
              onChange={(event) => void sendFiles(event)}
            />
          </form>
          {refused && <p role="alert">{refused}</p>}
          {state.phase === "open" && <Voice call={call} />}
          {state.phase === "open" && (
            <button onClick={changeRecording}>
              {state.recording ? "Stop recording, and erase it" : "Record this call"}
            </button>
          )}
          {state.phase === "open" && <CameraSwitch sonora={sonora} />}
          {state.phase === "open" && <Remembered call={call} />}
          <button onClick={() => void call.end().catch(() => undefined)}>Say goodbye</button>
          <button onClick={() => void call.hangUp()}>Hang up</button>
        </>
      )}
    </main>
  );
}

function CameraSwitch({ sonora: { call } }: { sonora: Sonora }) {
  const { camera } = useCall(call);
  const seen = useRef<HTMLVideoElement>(null);
  const on = camera === "on";
  useEffect(() => {
    if (seen.current) seen.current.srcObject = call.camera.stream;
  }, [call, on]);
  return (
    <>
      <button aria-pressed={on} onClick={() => void call.useCamera(!on).catch(() => undefined)}>
        {on ? "Switch camera off" : "Switch camera on"}
      </button>
      {on && <video ref={seen} autoPlay muted playsInline width={160} aria-label="What the bot may see" />}
      {camera === "blocked" && <p role="alert">The browser gives no camera. Send a picture.</p>}
    </>
  );
}
