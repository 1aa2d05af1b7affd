import { useEffect, useState } from "preact/hooks";
import { api, type Health, type Parts } from "../api";
import { useWords, type Words } from "../words";

/** How often to look how far a model has come. */
const AGAIN_MS = 1_000;

/** Who plays each part now; looked at again while a model is on its way. */
export function useParts(health: Health | null): Parts | null {
  const [parts, setParts] = useState<Parts | null>(null);
  useEffect(() => setParts(health?.parts ?? null), [health]);
  const coming = parts !== null && Object.values(parts).some((part) => part.percent !== null);
  useEffect(() => {
    if (!coming) return;
    const timer = setInterval(() => api.parts().then(setParts, () => undefined), AGAIN_MS);
    return () => clearInterval(timer);
  }, [coming]);
  return parts;
}

/** What is no vendor's, and what that means for whoever talks. Nothing where all is real. */
export function PartsNote({ parts, onHealth }: { parts: Parts; onHealth?: () => void }) {
  const words = useWords();
  const lines = told(parts, words);
  if (lines.length === 0) return null;
  const stoodIn = Object.values(parts).filter((part) => part.played === "stand_in").length;
  const coming = Object.values(parts).find((part) => part.percent !== null);
  return (
    <p class="rehearsal" role="status">
      <strong>{stoodIn > 0 ? words.talk.rehearsal(stoodIn) : words.talk.local}</strong>{" "}
      {lines.join(" ")}{" "}
      {coming && <progress max={100} value={coming.percent ?? 0} />}{" "}
      {onHealth && (
        <button type="button" class="plain" onClick={onHealth}>
          {words.talk.rehearsalMore}
        </button>
      )}
    </p>
  );
}

function told(parts: Parts, words: Words): string[] {
  const { stt, llm, tts } = parts;
  const lines: string[] = [];
  if (stt.percent !== null) lines.push(words.talk.hearingComes(stt.name, stt.percent));
  else if (stt.played === "local") lines.push(words.talk.guesses(stt.name));
  if (stt.played === "stand_in") lines.push(words.talk.rehearsalStt);
  if (llm.played === "local") lines.push(words.talk.answersHere(llm.name));
  if (tts.percent !== null) lines.push(words.talk.voiceComes(tts.percent));
  else if (tts.played === "local") lines.push(words.talk.speaksHere(tts.name));
  const standIns = [llm, tts].some((part) => part.played === "stand_in");
  return lines.length === 0 && standIns ? [""] : lines;
}
