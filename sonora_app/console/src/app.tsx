import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { ApiError, type Asked, api, type Flow, type Health, type Transcript } from "./api";
import { Call } from "./call/call";
import { NARROW, useHere } from "./place";
import { usePreference } from "./preferences";
import { useListings } from "./state/listings";
import { type CallState, isOn } from "./state/model";
import type { Happened } from "./state/reduce";
import { type ModelRequest, requestsIn } from "./state/requests";
import type { Store } from "./state/store";
import { goesOn, replayed } from "./state/trace";
import { turnOf } from "./state/turns";
import { Conversations } from "./views/conversations";
import { Events } from "./views/events";
import { FiguresView } from "./views/figures";
import { FlowView } from "./views/flow";
import { Header, type Theme } from "./views/header";
import { HealthView } from "./views/health";
import { KnowledgeView } from "./views/knowledge";
import { LatencyView } from "./views/latency";
import { MemoriesView } from "./views/memories";
import { Nav, type View } from "./views/nav";
import { Talk } from "./views/talk";
import { browserLanguage, type Language, WORDS, WordsIn } from "./words";

/** When to look for the title of a call that has ended. */
const SUMMARY_MS = [1_500, 4_000, 9_000];
/** How long to gather what was recorded before the list is read anew. */
const GATHER_MS = 800;
/** How often a call that others hold is looked at anew. */
const WATCH_MS = 2_000;

/** Why a conversation is not shown: it is not kept, or the bot does not answer. */
export type Missing = "gone" | "away";

interface Props {
  store: Store<CallState, Happened>;
  call: Call;
}

/** The whole page: what is shown of the call, and what is kept. */
export function App({ store, call }: Props) {
  const state = useStore(store);
  const [language, setLanguage] = usePreference<Language>("language", browserLanguage());
  const [theme, setTheme] = usePreference<Theme>("theme", "system");
  const [userId, setUserId] = usePreference<string>("user", "developer");
  const [drawer, setDrawer] = useState(false);
  const [past, setPast] = useState<Transcript | null>(null);
  const [missing, setMissing] = useState<Missing | null>(null);
  const [{ view, place }, go] = useHere();
  const setView = (next: View): void => go({ view: next });
  const [onlyMine, setOnlyMine] = useState(false);
  const [health, setHealth] = useState<Asked<Health>>(undefined);
  const [flow, setFlow] = useState<Asked<Flow>>(undefined);
  const [flowProblem, setFlowProblem] = useState("");
  const [summaries, setSummaries] = useState(0);
  /** What is being erased: nothing is asked about it any more. */
  const [erasing, setErasing] = useState<string | null>(null);
  const words = WORDS[language];

  useEffect(() => {
    document.documentElement.lang = language;
    document.documentElement.dataset.theme = theme;
  }, [language, theme]);
  const calling = isOn(state.phase);
  // The browser's other tabs show it.
  useEffect(() => {
    document.title = calling ? `● ${words.talk.calling} · Sonora` : "Sonora";
  }, [calling, words]);

  const listed = useListings(onlyMine ? userId : null);
  const { refresh } = listed;
  const examine = useCallback(() => {
    api.health(language).then(setHealth, () => setHealth(null));
  }, [language]);
  useEffect(examine, [examine]);
  const flowShown = view === "flow";
  useEffect(() => {
    const failed = (error: unknown) => {
      setFlowProblem(error instanceof ApiError ? error.message : "");
      setFlow(null);
    };
    api.flow(language).then(setFlow, failed);
  }, [language, flowShown]);

  // The list changes with the call: when it opens a conversation, and when it has ended, whose
  // summary takes a moment.
  useEffect(() => {
    if (state.conversationId) refresh();
    const conversationId = state.conversationId;
    if (state.phase !== "ended" || (conversationId && conversationId === erasing)) return;
    const again = (): void => {
      refresh();
      setSummaries((count) => count + 1);
      if (!conversationId || store.state.ended?.summary) return;
      const before = past?.conversation.summary;
      void api.transcript(conversationId).then(
        ({ conversation: { summary } }) => {
          if (!summary || summary === before) return;
          store.dispatch({ what: "summed-up", conversationId, summary });
        },
        () => undefined,
      );
    };
    const timers = SUMMARY_MS.map((ms) => setTimeout(again, ms));
    return () => timers.forEach(clearTimeout);
  }, [refresh, state.conversationId, state.phase === "live", erasing]);

  // And with each message that is kept.
  const recorded = state.entries.filter((entry) => entry.kept !== "heard").length;
  useEffect(() => {
    if (recorded === 0) return;
    const timer = setTimeout(refresh, GATHER_MS);
    return () => clearTimeout(timer);
  }, [refresh, recorded]);

  const show = async (
    id: string,
    turn: (found: Transcript) => number | null,
    how: { talksOn?: boolean; view?: View } = {},
  ): Promise<void> => {
    const found = await api
      .transcript(id)
      .catch((error): Missing => (error instanceof ApiError && error.status === 404 ? "gone" : "away"));
    if (isOn(store.state.phase)) return;
    // Where the bot does not answer, what was said stays in sight.
    if (how.talksOn && found === "away") return;
    const transcript = typeof found === "string" ? null : found;
    store.dispatch({ what: "cleared" });
    setPast(transcript);
    setMissing(typeof found === "string" ? found : null);
    const reached = { conversation: id, turn: transcript && turn(transcript) };
    go({ place: reached, ...(how.view && { view: how.view }) });
    if (transcript?.conversation.user_id) setUserId(transcript.conversation.user_id);
  };
  const select = (id: string, messageId: string | null = null): Promise<void> =>
    show(id, (found) => turnOf(found, messageId), { view: "talk" });
  const talkOn = (id: string): Promise<void> => show(id, () => null, { talksOn: true, view: "talk" });
  const clear = (next?: View): void => {
    if (isOn(state.phase)) return;
    store.dispatch({ what: "cleared" });
    setPast(null);
    setMissing(null);
    go({ place: null, ...(next && { view: next }) });
  };
  const fresh = (): void => clear("talk");
  // After a reload one may go on where one was: that takes a click, before which no page may sound.
  useEffect(() => {
    const id = Call.brokenOff();
    if (id && !place) void select(id);
  }, []);
  // The address leads: by a link, by a reload, and by going back.
  useEffect(() => {
    if (isOn(state.phase)) return;
    if (place && place.conversation !== past?.conversation.id) {
      void show(place.conversation, () => place.turn);
    } else if (!place && (past || missing) && state.phase === "idle") {
      clear();
    }
  }, [place?.conversation]);
  const lookAgain = (id: string, stop?: AbortSignal): void =>
    void api.transcript(id, stop).then(
      (found) => setPast((shown) => (shown?.conversation.id === id ? found : shown)),
      () => undefined,
    );
  // A call that goes on elsewhere is watched, until it is erased.
  const watched = state.phase === "idle" && past && goesOn(past) ? past.conversation.id : null;
  const watching = watched === erasing ? null : watched;
  useEffect(() => {
    if (!watching) return;
    const stop = new AbortController();
    const timer = setInterval(() => lookAgain(watching, stop.signal), WATCH_MS);
    return () => {
      clearInterval(timer);
      stop.abort();
    };
  }, [watching]);
  const erase = async (id: string): Promise<void> => {
    setErasing(id);
    try {
      await api.remove(id);
    } finally {
      setErasing(null);
    }
    if ([past?.conversation.id, state.conversationId].includes(id)) clear();
    refresh();
  };

  // What the model was asked, in the call that is shown; of one that goes on, as it goes on.
  const asked = state.conversationId ?? past?.conversation.id ?? null;
  const [requests, setRequests] = useState<ModelRequest[]>([]);
  useEffect(() => {
    if (!asked) {
      setRequests([]);
      return;
    }
    let wanted = true;
    const set = (found: ModelRequest[]): void => {
      if (wanted) setRequests(found);
    };
    api.requests(asked).then(
      (kept) => set(requestsIn(kept)),
      () => set([]),
    );
    return () => {
      wanted = false;
    };
  }, [asked, recorded, summaries, past?.messages.length]);

  const turn = place && place.conversation === past?.conversation.id ? place.turn : null;
  // What is kept is shown by what shows a call.
  const kept = state.phase === "idle" ? past : null;
  const panels = useMemo(() => (kept ? replayed(kept, turn) : state), [kept, turn, state]);
  const panel = view === "talk" || view === "conversations" ? "flow" : view;
  return (
    <WordsIn value={words}>
      <a class="skip" href="#talk">
        {words.skip}
      </a>
      <Header
        language={language}
        onLanguage={setLanguage}
        theme={theme}
        onTheme={setTheme}
        version={health?.version ?? null}
      />
      <main class="views" data-view={view}>
        <Conversations
          listed={listed}
          userId={userId}
          onlyMine={onlyMine}
          onOnlyMine={setOnlyMine}
          current={state.conversationId ?? past?.conversation.id ?? null}
          busy={isOn(state.phase)}
          onSelect={select}
          onFresh={fresh}
          onErase={erase}
          language={language}
        />
        <Talk
          state={state}
          call={call}
          past={past}
          turn={turn}
          missing={missing}
          flow={flow}
          shownIn={language}
          health={health ?? null}
          userId={userId}
          onUserId={setUserId}
          onFresh={fresh}
          onResume={talkOn}
          onTrace={select}
          onHealth={() => setView("health")}
          onBack={() => store.dispatch({ what: "cleared" })}
          requests={requests}
          onLabelled={() => {
            refresh();
            if (past) lookAgain(past.conversation.id);
          }}
          onDismiss={() => store.dispatch({ what: "dismissed" })}
        />
        <section class="inspector" aria-label={words.nav.label}>
          <Nav view={view} shown={panel} onView={setView} kind="tabs" calling={false} />
          <div class="panel">
            {panel === "flow" && (
              <FlowView
                flow={flow}
                problem={flowProblem}
                state={panels}
                requests={requests}
              />
            )}
            {panel === "memories" && (
              <MemoriesView
                userId={userId}
                changes={state.memoryChanges + (state.phase === "ended" ? summaries : 0)}
                busy={isOn(state.phase)}
                onMessage={select}
                language={language}
              />
            )}
            {panel === "knowledge" && (
              <KnowledgeView userId={userId} changes={recorded} language={language} />
            )}
            {panel === "latency" && (
              <LatencyView
                state={panels}
                live={!kept}
                supabase={health?.supabase ?? false}
                language={language}
                onEvents={() => setDrawer(true)}
              />
            )}
            {panel === "figures" && (
              <FiguresView
                changes={summaries}
                onList={(wanted) => {
                  listed.want(wanted);
                  setOnlyMine(false);
                  if (matchMedia(NARROW).matches) setView("conversations");
                }}
                language={language}
              />
            )}
            {panel === "health" && (
              <HealthView
                health={health}
                onAgain={() => {
                  setHealth(undefined);
                  examine();
                }}
              />
            )}
          </div>
        </section>
      </main>
      <Nav view={view} shown={panel} onView={setView} kind="bar" calling={calling} />
      <Events log={state.log} open={drawer} onOpen={setDrawer} />
    </WordsIn>
  );
}

function useStore(store: Store<CallState, Happened>): CallState {
  const [state, setState] = useState(store.state);
  useEffect(() => store.watch(() => setState(store.state)), [store]);
  return state;
}
