import { useEffect, useState } from "preact/hooks";
import { api, type Asked, type StoredSession } from "../api";
import type { Turn } from "../state/turns";
import type { Transcript } from "../api";
import { useWords } from "../words";

/** How long before a turn begins its first sound may be: it begins once it is known to be speech. */
const BEFORE_SECS = 0.5;

/** The sound of a call: the user on the left, Sonora on the right. */
export function CallSound({ session, number }: { session: StoredSession; number: number }) {
  const words = useWords();
  const file = session.metrics.recording?.file;
  const [source, setSource] = useState<Asked<string>>(undefined);
  useEffect(() => {
    let shown = true;
    // Here or in Storage, it is answered by parts, so that one can seek.
    if (file) {
      api.file(file).then(
        ({ url }) => shown && setSource(url),
        () => shown && setSource(null),
      );
    }
    return () => {
      shown = false;
    };
  }, [file]);
  if (!file) return null;
  if (source === null) return <p class="hint">{words.sound.gone}</p>;
  return (
    <audio
      id={`sound-${session.id}`}
      class="sound"
      controls
      preload="auto"
      src={source}
      aria-label={words.sound.of(number)}
    />
  );
}

interface TurnProps {
  transcript: Transcript;
  message: Turn;
  number: number;
}

/** Plays one turn, until the next begins. Of one that was cut in two, the answer that cut it too. */
export function TurnSound({ transcript, message, number }: TurnProps) {
  const words = useWords();
  const session = transcript.sessions.find(({ id }) => id === message.session_id);
  const recording = session?.metrics.recording;
  const began = Date.parse(recording?.began_at ?? "");
  // What somebody took back has neither a file nor a beginning.
  if (!recording?.file || Number.isNaN(began) || message.modality === "text") return null;
  const secsOf = (iso: string): number => (Date.parse(iso) - began) / 1000;
  const over = message.parts.at(-1)?.created_at ?? message.created_at;
  const next = transcript.messages.find(
    (each) => each.session_id === session?.id && each.created_at > over && !each.deleted_at,
  );
  // Somebody may agree in the middle of a call: what was said before is not in it.
  if (next && secsOf(next.created_at) <= 0) return null;
  const play = (): void => {
    const audio = document.getElementById(`sound-${session?.id}`);
    if (audio instanceof HTMLAudioElement) {
      playPart(audio, secsOf(message.created_at) - BEFORE_SECS, next ? secsOf(next.created_at) : null);
    }
  };
  return (
    <button type="button" class="plain" aria-label={words.sound.play(number)} onClick={play}>
      ▶
    </button>
  );
}

let stopping: AbortController | null = null;

function playPart(audio: HTMLAudioElement, from: number, until: number | null): void {
  stopping?.abort();
  stopping = new AbortController();
  const { signal } = stopping;
  audio.addEventListener(
    "timeupdate",
    () => {
      if (until === null || audio.currentTime < until) return;
      audio.pause();
      stopping?.abort();
    },
    { signal },
  );
  audio.currentTime = Math.max(0, from);
  void audio.play().catch(() => undefined);
}
