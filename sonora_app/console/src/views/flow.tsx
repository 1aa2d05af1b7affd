import { useState } from "preact/hooks";
import type { Asked, Flow } from "../api";
import { download } from "../download";
import type { CallState, Step } from "../state/model";
import type { ModelRequest } from "../state/requests";
import { useWords } from "../words";
import { NodeView } from "./node";

type Drawing = Flow["drawing"];

interface Props {
  flow: Asked<Flow>;
  /** Why there is no flow, in the bot's words; empty when the bot does not answer. */
  problem: string;
  state: CallState;
  /** What the model was asked in the call that is shown. */
  requests: ModelRequest[];
}

/** The flow as it runs: where the call is, and how it came there. */
export function FlowView({ flow, problem, state, requests }: Props) {
  const words = useWords();
  const [chosen, setChosen] = useState<string | null>(null);
  const node = flow?.nodes.find((each) => each.name === chosen);
  const now = state.node ?? (state.phase === "waiting" ? startOf(flow) : null);
  return (
    <section class="flow" aria-labelledby="flow-title">
      <h2 id="flow-title">{words.flow.title}</h2>
      {flow === null && <p class="nothing">{problem || words.offline}</p>}
      {flow && (
        <>
          <div class="drawing" role="region" aria-label={words.flow.picture} tabIndex={0}>
            <Picture drawing={flow.drawing} now={now} path={state.path} onNode={setChosen} />
          </div>
          <p class="legend">
            <span class="by model">{words.flow.model}</span>
            <span class="by event">{words.flow.event}</span>
          </p>
          <h3>{words.flow.told}</h3>
          <p class="links nodes">
            {flow.nodes.map(({ name }) => (
              <button
                key={name}
                type="button"
                class="plain"
                aria-expanded={name === chosen}
                onClick={() => setChosen(name === chosen ? null : name)}
              >
                {name}
              </button>
            ))}
          </p>
          {node && <NodeView node={node} requests={requests} />}
          <h3>{words.flow.path}</h3>
          <Path path={state.path} />
          <p class="links">
            <button
              type="button"
              class="secondary"
              onClick={() => download("sonora.yaml", flow.yaml)}
            >
              {words.flow.download}
            </button>
            <a class="secondary" href={flow.editor} target="_blank" rel="noreferrer">
              {words.flow.edit} ↗
            </a>
          </p>
          <p class="hint">{words.flow.editHint}</p>
        </>
      )}
    </section>
  );
}

function startOf(flow: Asked<Flow>): string | null {
  return flow?.drawing.boxes.find((box) => box.initial)?.name ?? null;
}

interface PictureProps {
  drawing: Drawing;
  now: string | null;
  path: Step[];
  /** A node was clicked. The buttons below the picture do the same. */
  onNode: (name: string) => void;
}

function Picture({ drawing, now, path, onNode }: PictureProps) {
  const words = useWords();
  const last = path.at(-1);
  const visited = new Set(path.flatMap((step) => [step.from, step.to]));
  return (
    <svg
      viewBox={`0 0 ${drawing.width} ${drawing.height}`}
      role="img"
      aria-label={now ? words.flow.at(now) : words.flow.picture}
    >
      <defs>
        <marker
          id="tip"
          viewBox="0 0 10 10"
          refX="9"
          refY="5"
          markerWidth="8"
          markerHeight="8"
          markerUnits="userSpaceOnUse"
          orient="auto"
        >
          <path d="M0 1L10 5L0 9L2 5Z" fill="context-stroke" />
        </marker>
      </defs>
      {drawing.lines.map((line) => {
        const taken = path.filter((step) => took(line, step));
        const newest = last !== undefined && took(line, last);
        return (
          <g
            key={line.path}
            class={`way ${line.by}${taken.length ? " taken" : ""}${newest ? " newest" : ""}`}
          >
            <path d={line.path} {...(line.arrow && { "marker-end": "url(#tip)" })} />
            {/* Drawn anew each time the way is taken, so that it moves again. */}
            {newest && <path key={path.length} class="pulse" d={line.path} pathLength={1} />}
            {line.labels.map((label) => (
              <text key={label.name + label.case} x={label.x} y={label.y} text-anchor={label.anchor}>
                {label.name}
                {label.case && <tspan class="case"> {label.case}</tspan>}
              </text>
            ))}
          </g>
        );
      })}
      {drawing.boxes.map((box) => (
        <g
          key={box.name}
          class={`box${box.name === now ? " now" : ""}${visited.has(box.name) ? " visited" : ""}`}
          data-node={box.name}
          onClick={() => onNode(box.name)}
        >
          {box.initial && (
            <circle class="cap" cx={box.x + box.width / 2} cy={box.y - 14} r="5" />
          )}
          <rect x={box.x} y={box.y} width={box.width} height={box.height} rx="10" />
          <text class="name" x={box.x + box.width / 2} y={box.y + 26} text-anchor="middle">
            {box.name}
          </text>
          {box.subtitle.map((line, index) => (
            <text
              key={line}
              class="small"
              x={box.x + box.width / 2}
              y={box.y + 43 + 17 * index}
              text-anchor="middle"
            >
              {line}
            </text>
          ))}
          {box.final && (
            <g class="cap">
              <circle cx={box.x + box.width / 2} cy={box.y + box.height + 16} r="5" />
              <circle class="ring" cx={box.x + box.width / 2} cy={box.y + box.height + 16} r="9" />
            </g>
          )}
        </g>
      ))}
    </svg>
  );
}

function took(line: Drawing["lines"][number], step: Step): boolean {
  return line.edges.some(
    (edge) => edge.from === step.from && edge.to === step.to && edge.function === step.trigger,
  );
}

function Path({ path }: { path: Step[] }) {
  const words = useWords();
  if (path.length === 0) return <p class="nothing">{words.flow.noPath}</p>;
  return (
    <ol class="path">
      {path.map((step, index) => (
        <li key={index}>
          <time>{new Date(step.at).toLocaleTimeString([], { hour12: false })}</time>
          <span class="to">{step.to}</span>
          <span class="trigger">
            {words.flow.by} {step.trigger}
          </span>
        </li>
      ))}
    </ol>
  );
}
