import type { Flow } from "../api";
import { type ModelRequest, toldAs } from "../state/requests";
import { useWords } from "../words";

interface Props {
  node: Flow["nodes"][number];
  /** What the model was asked in the call that is shown. */
  requests: ModelRequest[];
}

/** What the model is told at a node, and what it may do there. */
export function NodeView({ node, requests }: Props) {
  const words = useWords();
  const texts = [...(node.role ? [node.role] : []), ...node.tasks];
  const filled = texts.map((text) => toldAs(text, requests));
  const known = filled.some((text) => text !== null);
  return (
    <section class="node-told" aria-label={words.flow.toldAt(node.name)}>
      <p class="hint">
        {texts.length === 0 ? words.flow.nothingTold : known ? words.flow.filled : words.flow.unfilled}
      </p>
      {texts.map((text, index) => (
        <pre key={text} tabIndex={0}>
          {filled[index] ?? <Template text={text} />}
        </pre>
      ))}
      <ul class="functions">
        {node.functions.map((each) => (
          <li key={each.name}>
            <code>{each.name}</code>{" "}
            <span class={`by ${each.by}`}>{words.flow[each.by]}</span>
            <p>{each.description}</p>
            {each.arguments.length > 0 && (
              <p class="facts">
                {each.arguments.map((name) => (
                  <code key={name}>{name}</code>
                ))}
              </p>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Template({ text }: { text: string }) {
  return (
    <>
      {text
        .trim()
        .split(/(\{\{[^{}]*\}\})/)
        .map((piece, index) => (index % 2 ? <mark key={index}>{piece}</mark> : piece))}
    </>
  );
}
