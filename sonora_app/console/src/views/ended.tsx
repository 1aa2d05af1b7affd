import type { CallState } from "../state/model";
import { useWords } from "../words";

interface Props {
  state: CallState;
  onFresh: () => void;
  onResume: (id: string) => void;
  onRetry: () => void;
  /** To what happened in the conversation. */
  onTrace: (id: string) => void;
  /** To what one may choose before a call. */
  onBack: () => void;
}

/** After a call: why it is over, and what one can do next. */
export function Ended({ state, onFresh, onResume, onRetry, onTrace, onBack }: Props) {
  const words = useWords();
  const { problem, ended, conversationId } = state;
  const why = problem
    ? (words.problem[problem.code] ?? problem.message)
    : (words.ended[ended?.reason ?? ""] ?? "");
  return (
    <section class="over" role={problem ? "alert" : undefined}>
      <p class="why">{why}</p>
      {problem?.message && words.problem[problem.code] && <p class="detail">{problem.message}</p>}
      {ended?.summary && <p class="summary">{ended.summary}</p>}
      <div class="begin">
        {problem?.code.startsWith("token_") ? (
          <button type="button" class="primary" onClick={onBack}>
            {words.talk.changeToken}
          </button>
        ) : conversationId ? (
          <button type="button" class="primary" onClick={() => onResume(conversationId)}>
            {words.talk.again}
          </button>
        ) : (
          <button type="button" class="primary" onClick={onRetry}>
            {words.talk.retry}
          </button>
        )}
        <button type="button" class="secondary" onClick={onFresh}>
          {words.talk.fresh}
        </button>
        {conversationId && (
          <button type="button" class="plain" onClick={() => onTrace(conversationId)}>
            {words.trace.open}
          </button>
        )}
      </div>
    </section>
  );
}
