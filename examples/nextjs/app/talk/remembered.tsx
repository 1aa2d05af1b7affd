"use client";

import { useState, type FormEvent } from "react";

import type { SonoraCall } from "@/sonora/call";
import type { RememberedFact } from "@/sonora/protocol";
import { useCall } from "./use-sonora";

/** What Sonora remembers of the user, to look at, correct and have forgotten. */
export function Remembered({ call }: { call: SonoraCall }) {
  const { memory } = useCall(call);
  const [refused, setRefused] = useState("");

  const attempt = (work: Promise<void>) =>
    work.then(
      () => setRefused(""),
      (error: Error) => setRefused(error.message),
    );

  if (!memory) {
    return (
      <section>
        <button onClick={() => void attempt(call.listMemories())}>What do you remember of me?</button>
        {refused && <p role="alert">{refused}</p>}
      </section>
    );
  }
  return (
    <section aria-label="What Sonora remembers of you">
      <label>
        <input
          type="checkbox"
          checked={memory.remembers ?? memory.keeps}
          onChange={(event) => void attempt(call.setMemory(event.target.checked))}
        />
        Remember what I say about myself
      </label>
      <ul>
        {memory.facts.map((fact) => (
          <Fact
            key={fact.id}
            fact={fact}
            onCorrect={(content) => void attempt(call.correctMemory(fact.id, content))}
            onForget={() => void attempt(call.forgetMemory(fact.id))}
          />
        ))}
      </ul>
      {memory.more && <button onClick={() => void attempt(call.listMoreMemories())}>More</button>}
      {refused && <p role="alert">{refused}</p>}
    </section>
  );
}

function Fact(props: {
  fact: RememberedFact;
  onCorrect: (content: string) => void;
  onForget: () => void;
}) {
  const { fact, onCorrect, onForget } = props;
  const [content, setContent] = useState(fact.content);

  function correct(event: FormEvent) {
    event.preventDefault();
    onCorrect(content);
  }

  return (
    <li>
      <form onSubmit={correct}>
        <input
          value={content}
          onChange={(event) => setContent(event.target.value)}
          maxLength={500}
          aria-label="What is remembered"
        />
        <button disabled={!content.trim() || content === fact.content}>Correct</button>
        <button type="button" onClick={onForget}>
          Forget
        </button>
      </form>
      <small>
        {new Date(fact.said_at).toLocaleDateString()}
        {fact.valid_until && ` until ${lastDay(fact.valid_until)}`}
      </small>
    </li>
  );
}

/** The day until which something holds: noon in UTC is the end of the day before, everywhere. */
function lastDay(until: string): string {
  const end = new Date(until);
  if (end.toISOString().endsWith("T12:00:00.000Z")) end.setUTCDate(end.getUTCDate() - 1);
  return end.toLocaleDateString();
}
