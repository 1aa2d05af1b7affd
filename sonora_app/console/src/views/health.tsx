import type { Asked, Health } from "../api";
import { useWords } from "../words";

/** What is real, what is local and what is a stand-in in this run. */
export function HealthView({ health, onAgain }: { health: Asked<Health>; onAgain: () => void }) {
  const words = useWords();
  return (
    <section class="health" aria-labelledby="health-title">
      <h2 id="health-title">{words.health.title}</h2>
      <p class="lead">{words.health.lead}</p>
      {health === undefined && <p class="nothing">{words.health.checking}</p>}
      {health === null && <p class="nothing">{words.health.failed}</p>}
      {health && (
        <>
          <Cast health={health} />
          <Checks checks={health.checks} />
        </>
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

/** Who plays each part. */
function Cast({ health }: { health: Health }) {
  const words = useWords();
  return (
    <dl class="cast">
      {Object.entries(words.health.parts).map(([part, { name, real }]) => {
        const standIn = health.stand_ins.includes(part);
        const local = health.local.includes(part);
        return (
          <div key={part} class={standIn ? "stand-in" : ""}>
            <dt>{name}</dt>
            <dd>{standIn ? words.health.standIn : local ? words.health.local : real}</dd>
          </div>
        );
      })}
      <div>
        <dt>{words.health.storage}</dt>
        <dd>{health.supabase ? "Supabase" : words.health.journal}</dd>
      </div>
    </dl>
  );
}

function Checks({ checks }: { checks: Health["checks"] }) {
  const words = useWords();
  return (
    <ul class="checks">
      {checks.map((check) => (
        <li key={check.name} class={check.state}>
          <span
            class="dot"
            role="img"
            aria-label={words.health.states[check.state]}
            title={words.health.states[check.state]}
          />
          <strong>{check.name}</strong>
          <span class="found">{check.found}</span>
          {check.advice && <span class="advice">{check.advice}</span>}
        </li>
      ))}
    </ul>
  );
}
