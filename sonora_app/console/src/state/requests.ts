import type { AskedMessage, KeptRequests } from "../api";

/*
 * What the model was asked, as it is kept: requests name their messages, each of which is there once.
 */

/** One request, with its messages. */
export interface ModelRequest {
  id: string;
  at: string;
  node: string;
  model: string;
  /** Beside the talk, as for a summary. */
  aside: boolean;
  messages: AskedMessage[];
  /** How many of the first messages the request before had, too. */
  same: number;
  functions: string[];
}

export function requestsIn({ requests, texts }: KeptRequests): ModelRequest[] {
  return requests.map((request, index) => {
    const before = requests
      .slice(0, index)
      .findLast((each) => each.session_id === request.session_id && each.aside === request.aside);
    const differs = request.messages.findIndex((name, at) => before?.messages[at] !== name);
    return {
      id: request.id,
      at: request.asked_at,
      node: request.node,
      model: request.model,
      aside: request.aside,
      messages: request.messages.map((name) => (texts[name] ?? {}) as AskedMessage),
      same: before ? (differs < 0 ? request.messages.length : differs) : 0,
      functions: functionsIn(texts[request.tools]),
    };
  });
}

function functionsIn(tools: unknown): string[] {
  return Array.isArray(tools) ? tools.flatMap((tool) => tool?.function?.name ?? []) : [];
}

/** The words of a message. Of what is not kept as words, that it was there. */
export function wordsOfMessage({ content, tool_calls }: AskedMessage): string {
  const said =
    typeof content === "string"
      ? content
      : (content ?? []).map((part) => part.text ?? `[${part.type}]`).join("\n");
  const called = (tool_calls ?? []).map((call) => `${call.function.name}(${call.function.arguments})`);
  return [said, ...called].filter(Boolean).join("\n");
}

const PLACEHOLDER = /\{\{[^{}]*\}\}/;

/**
 * A text of the flow as the model was told it in a call: with the call's facts in place of the
 * placeholders; null where the model was not told it.
 */
export function toldAs(template: string, requests: ModelRequest[]): string | null {
  const pattern = template
    .trim()
    .split(PLACEHOLDER)
    .map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join("[^]*?");
  const told = new RegExp(`^${pattern}$`);
  for (const request of [...requests].reverse()) {
    const found = request.messages.map(wordsOfMessage).findLast((text) => told.test(text.trim()));
    if (found !== undefined) return found;
  }
  return null;
}
