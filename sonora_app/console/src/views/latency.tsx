import { useState } from "preact/hooks";
import type { CallState, Kept, TurnLatency } from "../state/model";
import { useWords } from "../words";
import { KeptMark } from "./kept";

/** The parts of an answer in the order they are gone through; those of a row are shown alike. */
const SHADES = [
  ["endpointing_wait", "waiting_for_user"],
  ["transcription"],
  ["turn_detection", "turn_completion"],
  ["llm_inference"],
  ["llm_tool_call", "function_handler"],
  ["sentence_aggregation", "awaiting_speakable_text"],
  ["speech_synthesis"],
];

interface Props {
  /** A call; or what is kept of earlier ones. */
  state: CallState;
  /** Whether it is a call of this page: there are its storage and its events, too. */
  live: boolean;
  supabase: boolean;
  language: string;
  onEvents: () => void;
}

/** How long answers took and what of, and how storage is doing. */
export function LatencyView({ state, live, supabase, language, onEvents }: Props) {
  const words = useWords();
  const [chosen, setChosen] = useState<number | null>(null);
  const turns = state.latencies;
  const shown = chosen ?? turns.length - 1;
  const totals = turns.map((turn) => turn.totalMs);
  const longest = Math.max(...totals, 1);
  const ms = (value: number): string => milliseconds(value, language);
  const turn = turns[shown];
  return (
    <section class="latency" aria-labelledby="latency-title">
      <h2 id="latency-title">{words.latency.title}</h2>
      <p class="lead">{words.latency.lead}</p>
      {turns.length === 0 ? (
        <p class="nothing">{words.latency.none}</p>
      ) : (
        <>
          <dl class="figures">
            <Figure name={words.latency.median} value={ms(percentile(totals, 0.5))} />
            <Figure name={words.latency.p95} value={ms(percentile(totals, 0.95))} />
            <Figure name={words.latency.turns} value={String(turns.length)} />
          </dl>
          <ol class="bars" aria-label={words.latency.turns}>
            {turns.map((each, index) => (
              <li key={index}>
                <button
                  type="button"
                  aria-pressed={index === shown}
                  onClick={() => setChosen(index)}
                >
                  <span class="number">{index + 1}</span>
                  <Bar turn={each} longest={longest} />
                  <span class="total">{ms(each.totalMs)}</span>
                </button>
              </li>
            ))}
          </ol>
          {turn && (
            <Parts turn={turn} caption={words.latency.of(shown + 1)} language={language} />
          )}
        </>
      )}
      {live && (
        <>
          <Storage state={state} supabase={supabase} />
          <button type="button" class="secondary" onClick={onEvents}>
            {words.events.open(state.log.length)}
          </button>
        </>
      )}
    </section>
  );
}

/** A time in milliseconds, as it is shown. */
export function milliseconds(value: number, language: string): string {
  return `${Math.round(value).toLocaleString(language)} ms`;
}

interface PartsProps {
  turn: TurnLatency;
  caption: string;
  language: string;
}

/** What an answer was waited for. */
export function Parts({ turn, caption, language }: PartsProps) {
  const words = useWords();
  return (
    <table class="parts">
      <caption>{caption}</caption>
      <tbody>
        {Object.entries(turn.partsMs).map(([part, value]) => (
          <tr key={part}>
            <th scope="row">
              <span class="swatch" data-part={shade(part)} aria-hidden="true" />
              {words.latency.parts[part] ?? part}
            </th>
            <td>{milliseconds(value, language)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Which shade stands for a part, the same in every turn. */
function shade(part: string): number {
  const known = SHADES.findIndex((parts) => parts.includes(part));
  return known === -1 ? SHADES.length : known;
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** An answer's wait as a bar, with its parts. */
export function Bar({ turn, longest }: { turn: TurnLatency; longest: number }) {
  const parts = Object.entries(turn.partsMs);
  const sum = parts.reduce((total, [, value]) => total + value, 0) || 1;
  return (
    <span class="bar" style={{ width: `${(100 * turn.totalMs) / longest}%` }} aria-hidden="true">
      {parts.map(([part, value]) => (
        <span key={part} data-part={shade(part)} style={{ flexGrow: value / sum }} />
      ))}
    </span>
  );
}

const STATIONS: Kept[] = ["heard", "journalled", "stored"];

function Storage({ state, supabase }: { state: CallState; supabase: boolean }) {
  const words = useWords();
  const { storage } = state;
  const count = (kept: Kept): number =>
    state.entries.filter((entry) => entry.kept === kept && entry.refused === null).length;
  const how =
    storage && storage.state !== "ok"
      ? words.storage[storage.state]
      : supabase
        ? words.storage.ok
        : words.storage.journal;
  return (
    <div class="storage" data-state={storage?.state ?? "ok"}>
      <h3>{words.storage.title}</h3>
      <p>
        <span class="dot" aria-hidden="true" /> {how}
      </p>
      {supabase && <p class="hint">{words.storage.pending(storage?.pending ?? 0)}</p>}
      <ul class="stations">
        {STATIONS.filter((kept) => supabase || kept !== "stored").map((kept) => (
          <li key={kept}>
            <KeptMark kept={kept} supabase={supabase} />
            <span>{words.transcript[kept]}</span>
            <span class="total">{count(kept)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The value that a share of them do not exceed (nearest rank; the mean of two for the median). */
export function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  if (share === 0.5 && sorted.length % 2 === 0) {
    const half = sorted.length / 2;
    return ((sorted[half - 1] ?? 0) + (sorted[half] ?? 0)) / 2;
  }
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
