import { useEffect, useState } from "preact/hooks";
import { type Asked, api, type CallFigures, type Figures, type Grouped, type Wanted } from "../api";
import { NOTHING_WANTED } from "../state/listings";
import { useWords, type Words } from "../words";
import { milliseconds } from "./latency";

interface Props {
  /** Goes up with each call that ends. */
  changes: number;
  /** The list of the conversations behind a figure is asked for. */
  onList: (wanted: Wanted) => void;
  language: string;
}

const GROUPED: Grouped[] = ["day", "version", "flow"];
const DAYS = [7, 30, 90, 0];
const DAY_MS = 86_400_000;

/** Many calls: how many, how they ended, how long answers took, what they cost. */
export function FiguresView({ changes, onList, language }: Props) {
  const words = useWords();
  const [by, setBy] = useState<Grouped>("day");
  const [days, setDays] = useState(30);
  const [figures, setFigures] = useState<Asked<Figures>>(undefined);
  const since = days ? dayOf(new Date(Date.now() - (days - 1) * DAY_MS)) : "";
  useEffect(() => {
    let asked = true;
    const set = (found: Figures | null): void => {
      if (asked) setFigures(found);
    };
    api.figures(by, since).then(set, () => set(null));
    return () => {
      asked = false;
    };
  }, [by, since, changes]);
  const all = { ...NOTHING_WANTED, begun_since: since && `${since}T00:00` };
  return (
    <section class="many" aria-labelledby="figures-title">
      <h2 id="figures-title">{words.figures.title}</h2>
      <div class="choices">
        <label class="field">
          <span>{words.figures.period}</span>
          <select value={days} onChange={(event) => setDays(Number(event.currentTarget.value))}>
            {DAYS.map((each) => (
              <option key={each} value={each}>
                {each ? words.figures.days(each) : words.figures.always}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>{words.figures.by}</span>
          <select value={by} onChange={(event) => setBy(event.currentTarget.value as Grouped)}>
            {GROUPED.map((each) => (
              <option key={each} value={each}>
                {words.figures.grouped[each]}
              </option>
            ))}
          </select>
        </label>
      </div>
      {figures === null && <p class="nothing">{words.figures.unreadable}</p>}
      {figures?.total.calls === 0 && <p class="nothing">{words.figures.none}</p>}
      {figures && figures.total.calls > 0 && (
        <>
          <Total of={figures.total} wanted={all} onList={onList} language={language} />
          <Groups figures={figures} wanted={all} onList={onList} language={language} />
        </>
      )}
    </section>
  );
}

interface OfCalls {
  of: CallFigures;
  /** The conversations that these calls are of. */
  wanted: Wanted;
  onList: (wanted: Wanted) => void;
  language: string;
}

/** All of them together, with the conversations behind each figure. */
function Total({ of, wanted, onList, language }: OfCalls) {
  const words = useWords();
  const count = (value: number): string => value.toLocaleString(language);
  const list = (more: Partial<Wanted>) => () => onList({ ...wanted, ...more });
  const { median, p95 } = of.wait_ms;
  return (
    <dl class="sums">
      <Sum name={words.figures.calls} value={count(of.calls)} onList={list({})} />
      {Object.entries(of.ended).map(([reason, times]) => (
        <Sum
          key={reason}
          name={words.trace.ends[reason] ?? words.trace.notEnded}
          value={count(times)}
          onList={reason in words.trace.ends ? list({ ended: reason }) : undefined}
        />
      ))}
      <Sum
        name={words.figures.waits}
        value={
          median === null || p95 === null
            ? words.trace.unknown
            : words.figures.waited(milliseconds(median, language), milliseconds(p95, language))
        }
        onList={list({ slow: true })}
        more={words.figures.slow}
      />
      <Sum name={words.figures.cut} value={count(of.turns_cut)} onList={list({ cut: true })} />
      <Sum
        name={words.figures.guesses}
        value={words.figures.of(count(of.early_answers_withdrawn), count(of.early_answers))}
      />
      {Object.entries(of.failures).map(([failure, times]) => (
        <Sum
          key={failure}
          name={words.figures.failures[failure] ?? failure}
          value={count(times)}
          onList={list({ failure })}
        />
      ))}
      <Sum
        name={words.trace.tokens}
        value={words.trace.read(count(of.prompt_tokens), count(of.completion_tokens))}
      />
      <Sum name={words.trace.cost} value={costOf(of, words, language)} />
    </dl>
  );
}

interface SumProps {
  name: string;
  value: string;
  onList?: (() => void) | undefined;
  more?: string;
}

function Sum({ name, value, onList, more }: SumProps) {
  const words = useWords();
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value}
        {onList && (
          <button type="button" class="plain" aria-label={words.figures.listOf(more ?? name)} onClick={onList}>
            {words.figures.list}
          </button>
        )}
      </dd>
    </div>
  );
}

/** Each day, version or flow by itself; the newest day first. */
function Groups({ figures, wanted, onList, language }: Omit<OfCalls, "of"> & { figures: Figures }) {
  const words = useWords();
  const { by, groups } = figures;
  const most = Math.max(...groups.map((each) => each.calls));
  const shown = by === "day" ? [...groups].reverse() : groups;
  return (
    <div class="scrolls" role="region" aria-label={words.figures.table} tabIndex={0}>
      <table class="parts groups">
        <caption>{words.figures.grouped[by]}</caption>
        <thead>
          <tr>
            <th scope="col">{words.figures.grouped[by]}</th>
            <th scope="col">{words.figures.calls}</th>
            <th scope="col">{words.figures.median}</th>
            <th scope="col">95 %</th>
            <th scope="col">{words.figures.failed}</th>
            <th scope="col">{words.trace.cost}</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((each) => (
            <tr key={each.key}>
              <th scope="row">{each.key || words.trace.unknown}</th>
              <td>
                <span class="share" style={{ width: `${(48 * each.calls) / most}px` }} aria-hidden="true" />
                <button
                  type="button"
                  class="plain"
                  aria-label={words.figures.listOf(`${each.key}: ${each.calls}`)}
                  disabled={!each.key}
                  onClick={() => onList({ ...wanted, ...behind(by, each.key) })}
                >
                  {each.calls.toLocaleString(language)}
                </button>
              </td>
              <td>{each.wait_ms.median === null ? "–" : milliseconds(each.wait_ms.median, language)}</td>
              <td>{each.wait_ms.p95 === null ? "–" : milliseconds(each.wait_ms.p95, language)}</td>
              <td>{Object.values(each.failures).reduce((all, times) => all + times, 0)}</td>
              <td>{costOf(each, words, language)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Which conversations have calls of a group. */
function behind(by: Grouped, key: string): Partial<Wanted> {
  if (by !== "day") return { [by]: key };
  const next = new Date(Date.parse(key) + DAY_MS).toISOString().slice(0, 10);
  return { begun_since: `${key}T00:00`, begun_until: `${next}T00:00` };
}

function costOf(of: CallFigures, words: Words, language: string): string {
  const known = Object.entries(of.cost)
    .filter(([, amount]) => amount > 0 || of.cost_unknown === 0)
    .map(([currency, amount]) => amount.toLocaleString(language, { style: "currency", currency }));
  if (known.length === 0) return words.trace.unknown;
  return of.cost_unknown > 0 ? `≥ ${known.join(" + ")}` : known.join(" + ");
}

/** The day of a moment, by the clock of the page. */
function dayOf(moment: Date): string {
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 10);
}
