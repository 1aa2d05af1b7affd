import { useWords } from "../words";

const ALL = [
  "talk",
  "conversations",
  "flow",
  "memories",
  "knowledge",
  "latency",
  "figures",
  "health",
] as const;

export type View = (typeof ALL)[number];

interface Props {
  view: View;
  /** The panel that stands beside the talk where there is room for it. */
  shown: View;
  onView: (view: View) => void;
  /** Tabs over the panels, or a bar of everything at the foot of a narrow page. */
  kind: "tabs" | "bar";
  /** Whether a call goes on, which the other views do not show. */
  calling: boolean;
}

/** What is looked at. */
export function Nav({ view, shown, onView, kind, calling }: Props) {
  const words = useWords();
  const current = kind === "bar" ? view : shown;
  return (
    <nav class={kind} aria-label={words.nav.label}>
      {ALL.filter((each) => kind === "bar" || (each !== "talk" && each !== "conversations")).map(
        (each) => (
          <button
            key={each}
            type="button"
            aria-current={each === current ? "page" : undefined}
            onClick={() => onView(each)}
          >
            {words.nav[each]}
            {calling && each === "talk" && (
              <>
                <span class="dot" aria-hidden="true" />
                <span class="hidden">{words.talk.calling}</span>
              </>
            )}
          </button>
        ),
      )}
    </nav>
  );
}
