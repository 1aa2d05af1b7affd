import { useState } from "preact/hooks";
import { type ModelRequest, wordsOfMessage } from "../state/requests";
import { useWords } from "../words";

interface Props {
  request: ModelRequest;
  /** When it was made, as the page shows times. */
  at: string;
}

/** One request to the model: what it was asked, as it got it. */
export function RequestLine({ request, at }: Props) {
  const words = useWords();
  const [open, setOpen] = useState(false);
  const { messages, same } = request;
  return (
    <li class="tool request">
      <time>{at}</time>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          {request.aside ? words.requests.aside : words.requests.asked} <code>{request.model}</code>{" "}
          · {words.requests.messages(messages.length)}
        </summary>
        {open && (
          <>
            {same > 0 && (
              <details>
                <summary>{words.requests.same(same)}</summary>
                <Messages messages={messages.slice(0, same)} />
              </details>
            )}
            <Messages messages={messages.slice(same)} />
            {request.functions.length > 0 && (
              <p class="facts">
                <span>{words.requests.offered}</span>
                {request.functions.map((name) => (
                  <code key={name}>{name}</code>
                ))}
              </p>
            )}
          </>
        )}
      </details>
    </li>
  );
}

function Messages({ messages }: { messages: ModelRequest["messages"] }) {
  return (
    <ol class="asked">
      {messages.map((message, index) => (
        <li key={index}>
          <code>{message.role}</code>
          <pre>{wordsOfMessage(message)}</pre>
        </li>
      ))}
    </ol>
  );
}
