import type { Kept } from "../state/model";
import { useWords } from "../words";

interface Props {
  kept: Kept;
  /** Whether there is a third station. */
  supabase: boolean;
}

/** How far a message has come, as a mark: a stroke for each station that it has reached. */
export function KeptMark({ kept, supabase }: Props) {
  const words = useWords();
  return (
    <span
      class={`kept ${kept}`}
      role="img"
      aria-label={words.transcript[kept]}
      title={words.transcript[kept]}
    >
      <i />
      <i />
      {supabase && <i />}
    </span>
  );
}
