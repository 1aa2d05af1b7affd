import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type {
  Asked,
  Flow,
  KeptCost,
  Memory,
  StoredMessage,
  StoredSession,
  StoredToolCall,
  Transcript,
} from "../api";
import { addressOf } from "../place";
import type { ModelRequest } from "../state/requests";
import { useLearnt } from "../state/learnt";
import { goesOn, type Happening, happenings, latencyOf } from "../state/trace";
import { isOf, type Turn, turnsOf } from "../state/turns";
import { useWords, type Words } from "../words";
import { LabelNames, Labels } from "./labels";
import { Bar, milliseconds, Parts, percentile } from "./latency";
import { RequestLine } from "./requests";
import { CallSound, TurnSound } from "./sound";
import { PastTool } from "./tools";
import { Past } from "./transcript";

interface Props {
  transcript: Transcript;
  /** The turn that the page's address names. */
  turn: number | null;
  flow: Asked<Flow>;
  language: string;
  /** What the model was asked, where that is kept. */
  requests: ModelRequest[];
  /** A label was given, changed or removed. */
  onLabelled: () => void;
}

/** What happened in a conversation that is kept: its calls, its steps, its turns, its tools. */
export function TraceView({ transcript, turn, flow, language, requests, onLabelled }: Props) {
  const words = useWords();
  const box = useRef<HTMLDivElement>(null);
  const turns = turnsOf(transcript);
  const learnt = useLearnt(transcript);
  const pointed = turn ? turns[turn - 1]?.id : undefined;
  const { id } = transcript.conversation;
  useEffect(() => {
    const message = pointed && document.getElementById(`message-${pointed}`);
    if (message) {
      message.scrollIntoView({ block: "center" });
      message.focus({ preventScroll: true });
    } else if (box.current) {
      box.current.scrollTop = 0;
    }
  }, [id, pointed]);
  const { labels } = transcript;
  const labelling = { conversationId: id, labels, onLabelled };
  const longest = Math.max(1, ...turns.map((each) => latencyOf(each)?.totalMs ?? 0));
  return (
    <div class="transcript" role="region" aria-label={words.trace.label} tabIndex={0} ref={box}>
      <Outline transcript={transcript} language={language}>
        <Labels {...labelling} place={{}} at={words.labels.conversation} />
      </Outline>
      <LabelNames id="label-names" used={labels.map(({ name }) => name)} />
      {turns.length === 0 && <p class="nothing">{words.transcript.empty}</p>}
      <ol class="trace">
        {happenings(transcript, requests).map((each) =>
          each.kind === "call" ? (
            <CallLine key={each.session.id} {...each} language={language}>
              <CallSound session={each.session} number={each.number} />
              <Labels
                {...labelling}
                place={{ session_id: each.session.id }}
                at={words.trace.call(each.number)}
              />
            </CallLine>
          ) : each.kind === "step" ? (
            <StepLine key={each.step.id} {...each} flow={flow} language={language} />
          ) : each.kind === "request" ? (
            <RequestLine
              key={each.request.id}
              request={each.request}
              at={clock(each.at, language)}
            />
          ) : each.kind === "tool" ? (
            <UseLine key={each.use.id} use={each.use} language={language} />
          ) : (
            <Past key={each.message.id} message={each.message}>
              <Facts
                {...each}
                address={addressOf(id, each.number)}
                pointed={each.number === turn}
                longest={longest}
                learnt={learnt.filter((fact) => isOf(each.message, fact.source_message_id))}
                language={language}
              >
                <TurnSound transcript={transcript} message={each.message} number={each.number} />
              </Facts>
              <Labels
                {...labelling}
                labels={labels.map((label) =>
                  isOf(each.message, label.message_id)
                    ? { ...label, message_id: each.message.id }
                    : label,
                )}
                place={{ message_id: each.message.id }}
                at={words.trace.turn(each.number)}
              />
            </Past>
          ),
        )}
      </ol>
    </div>
  );
}

interface OutlineProps {
  transcript: Transcript;
  language: string;
  children: ComponentChildren;
}

/** What is known of the whole. */
function Outline({ transcript, language, children }: OutlineProps) {
  const words = useWords();
  const { conversation, sessions } = transcript;
  const waits = turnsOf(transcript).flatMap((each) => latencyOf(each)?.totalMs ?? []);
  const sum = (name: "prompt_tokens" | "completion_tokens"): number | null => {
    const known = sessions.flatMap((each) => each.metrics[name] ?? []);
    return known.length ? known.reduce((all, each) => all + each, 0) : null;
  };
  const { topics, outcome } = conversation.metadata;
  const { outcomes } = words.trace;
  const facts: [string, string | null][] = [
    [words.trace.user, conversation.user_id],
    [words.trace.began, moment(conversation.created_at, language)],
    [
      words.trace.stands,
      goesOn(transcript)
        ? words.conversations.calling
        : (words.conversations.status[conversation.status] ?? conversation.status),
    ],
    [words.trace.calls, String(sessions.length)],
    [words.trace.turns, String(turnsOf(transcript).length)],
    [
      words.trace.waits,
      waits.length
        ? words.trace.waited(
            milliseconds(percentile(waits, 0.5), language),
            milliseconds(Math.max(...waits), language),
          )
        : words.trace.unknown,
    ],
    [words.trace.tokens, tokens(sum("prompt_tokens"), sum("completion_tokens"), words, language)],
    [words.trace.cost, cost(sessions.map((each) => each.metrics.cost), words, language)],
    [words.trace.topics, Array.isArray(topics) && topics.length ? topics.join(", ") : null],
    [words.trace.outcome, typeof outcome === "string" ? (outcomes[outcome] ?? outcome) : null],
  ];
  return (
    <header class="outline">
      <h2>{conversation.title ?? words.conversations.untitled}</h2>
      {conversation.summary && <p class="lead">{conversation.summary}</p>}
      <dl>
        {facts.map(
          ([name, value]) =>
            value && (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ),
        )}
      </dl>
      {children}
    </header>
  );
}

/** How many tokens calls read and wrote, in words. */
export function tokens(
  read: number | null | undefined,
  written: number | null | undefined,
  words: Words,
  language: string,
): string {
  if (typeof read !== "number" || typeof written !== "number") return words.trace.unknown;
  return words.trace.read(read.toLocaleString(language), written.toLocaleString(language));
}

/** What calls cost: what is not known is said, and never counted as nothing. */
export function cost(
  costs: (KeptCost | undefined)[],
  words: Words,
  language: string,
): string {
  const told = costs.flatMap((each) => each ?? []);
  const [first] = told;
  if (!first || told.some((each) => each.currency !== first.currency)) return words.trace.unknown;
  const amount = told
    .reduce((all, each) => all + each.known, 0)
    .toLocaleString(language, {
      style: "currency",
      currency: first.currency,
      maximumFractionDigits: 4,
    });
  const parts = told.flatMap((each) => each.not_known.map(({ part }) => words.trace.parts[part]));
  if (told.length < costs.length) parts.push(words.trace.otherCalls);
  if (parts.length === 0) return amount;
  return words.trace.atLeast(amount, [...new Set(parts)].join(", "));
}

interface CallProps {
  session: StoredSession;
  number: number;
  language: string;
  children: ComponentChildren;
}

/** A call begins. */
function CallLine({ session, number, language, children }: CallProps) {
  const words = useWords();
  const { metrics, end_reason, ended_at, started_at } = session;
  const secs = ended_at ? (Date.parse(ended_at) - Date.parse(started_at)) / 1000 : null;
  const answers = metrics.latency_ms;
  const failed = end_reason === "error" || end_reason === "crashed";
  return (
    <li class="call">
      <h3 class="divider">
        <span>{words.trace.call(number)}</span>
      </h3>
      <p class="facts">
        <span>{moment(started_at, language)}</span>
        <span>{session.transport}</span>
        {secs !== null && <span>{words.trace.took(Math.max(0, Math.round(secs)))}</span>}
        <span class={failed ? "failed" : ""}>
          {end_reason ? (words.trace.ends[end_reason] ?? end_reason) : words.trace.notEnded}
        </span>
        {answers && (
          <span>
            {words.trace.waited(
              milliseconds(answers.median, language),
              milliseconds(answers.worst, language),
            )}
          </span>
        )}
        <span>{tokens(metrics.prompt_tokens, metrics.completion_tokens, words, language)}</span>
        <span>
          {words.trace.cost}: {cost([metrics.cost], words, language)}
        </span>
        {metrics.recording && (
          <span>
            {words.sound[metrics.recording.consent](
              words.sound.by[metrics.recording.by],
              moment(metrics.recording.at, language),
            )}
          </span>
        )}
        <span>Sonora {session.app_version}</span>
      </p>
      {children}
    </li>
  );
}

type StepProps = Extract<Happening, { kind: "step" }> & { flow: Asked<Flow>; language: string };

/** A step of the flow: where to, by what, and with what. */
function StepLine({ step, flow, language }: StepProps) {
  const words = useWords();
  const line = flow?.drawing.lines.find((each) =>
    each.edges.some(
      (edge) =>
        edge.from === step.from_node &&
        edge.to === step.to_node &&
        edge.function === step.trigger,
    ),
  );
  // The model and a timer may take the same step; what took it is kept with it.
  const { cause = "model" } = step.arguments;
  const by = line && (cause === "model" ? line.by : "event");
  return (
    <li class="tool step">
      <time>{clock(step.created_at, language)}</time>
      <span>
        {step.from_node} → <code>{step.to_node}</code>
      </span>
      <span>
        {words.flow.by} {step.trigger}
      </span>
      {by && <span class={`by ${by}`}>{words.flow[by]}</span>}
      <Given values={step.arguments} />
    </li>
  );
}

/** A call of a tool: when, with what, and what came of it. */
function UseLine({ use, language }: { use: StoredToolCall; language: string }) {
  const words = useWords();
  return (
    <PastTool call={use}>
      <time>{clock(use.started_at, language)}</time>
      <Given values={use.arguments} />
      {use.result && (
        <details>
          <summary>{words.trace.result}</summary>
          <pre>{use.result}</pre>
        </details>
      )}
    </PastTool>
  );
}

function Given({ values }: { values: Record<string, unknown> }) {
  if (Object.keys(values).length === 0) return null;
  return <code class="given">{JSON.stringify(values)}</code>;
}

interface FactsProps {
  message: Turn;
  number: number;
  address: string;
  pointed: boolean;
  longest: number;
  /** What was remembered of it. */
  learnt: Memory[];
  language: string;
  children: ComponentChildren;
}

/** When and where a turn was, how long it was waited for, what it was answered from, what stays. */
function Facts(props: FactsProps) {
  const { message, number, address, pointed, longest, learnt, language, children } = props;
  const words = useWords();
  const latency = latencyOf(message);
  const sources = message.metadata?.sources ?? [];
  return (
    <div class="turn">
      <p class="facts">
        <a href={address} aria-label={words.trace.turn(number)} aria-current={pointed ? "true" : undefined}>
          {number}
        </a>
        <time>{clock(message.created_at, language)}</time>
        {message.node && <code>{message.node}</code>}
        <KeptAt message={message.parts.at(-1) ?? message} language={language} />
        {children}
      </p>
      {latency && (
        <details class="wait" open={pointed}>
          <summary>
            <Bar turn={latency} longest={longest} />
            <span>{milliseconds(latency.totalMs, language)}</span>
          </summary>
          <Parts turn={latency} caption={words.latency.of(number)} language={language} />
        </details>
      )}
      {sources.length > 0 && (
        <ul class="places">
          {sources.map((source) => (
            <li key={source.passage_id}>
              {[source.document, source.heading].filter(Boolean).join(" › ")}
              {source.page ? words.sources.page(source.page) : ""}
            </li>
          ))}
        </ul>
      )}
      {learnt.length > 0 && (
        <ul class="places" aria-label={words.trace.learnt}>
          {learnt.map((fact) => (
            <li key={fact.id}>
              {words.trace.learnt}: {fact.content}
              {fact.replaced_by && ` (${words.memories.replaced})`}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** When a message was kept, as far as this machine's journal knows. */
function KeptAt({ message, language }: { message: StoredMessage; language: string }) {
  const words = useWords();
  const { written_at, stored_at } = message;
  if (!written_at) return null;
  const later = stored_at ? Date.parse(stored_at) - Date.parse(written_at) : null;
  return (
    <>
      <span>{words.trace.written(clock(written_at, language))}</span>
      {later !== null && (
        <span>{words.trace.stored(milliseconds(Math.max(0, later), language))}</span>
      )}
    </>
  );
}

function clock(iso: string, language: string): string {
  return new Date(iso).toLocaleTimeString(language, { hour12: false });
}

function moment(iso: string, language: string): string {
  return new Date(iso).toLocaleString(language, { dateStyle: "medium", timeStyle: "medium" });
}
