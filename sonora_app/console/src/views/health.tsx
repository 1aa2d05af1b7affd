import type { Health } from "../api";
import { useWords } from "../words";

/** What is real and what is a stand-in in this run. */
export function HealthView({ health, onAgain }: { health: Health | null; onAgain: () => void }) {
  const words = useWords();
  return (
    <section class="health" aria-labelledby="health-title">
      <h2 id="health-title">{words.health.title}</h2>
      <p class="lead">{words.health.lead}</p>
      {health === null ? (
        <p class="nothing">{words.health.checking}</p>
      ) : (
        <ul class="checks">
          {health.checks.map((check) => (
            <li key={check.name} class={check.state}>
              <span
                class="dot"
                role="img"
                aria-label={words.health.states[check.state]}
                title={words.health.states[check.state]}
              />
              <strong>{words.health.names[check.name] ?? check.name}</strong>
              <span class="found" lang="en">
                {check.found}
              </span>
              {check.advice && (
                <span class="advice" lang="en">
                  {check.advice}
                </span>
              )}
            </li>
          ))}
        </ul>
      )}
      <p class="links">
        <button type="button" class="secondary" onClick={onAgain}>
          {words.health.again}
        </button>
        <a class="secondary" href="/client/">
          {words.health.pipecat}
        </a>
      </p>
    </section>
  );
}
